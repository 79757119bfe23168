"""Circular evaluation of multiple-choice questions, as MMBench does it."""

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence

LETTERS = "ABCDEFGH"
_FIRST = re.compile(r"\(?([A-Za-z])\)?(?=$|[\s.,:)])")


def rotations(options: Sequence[str], right: int) -> list[tuple[tuple[str, ...], str]]:
    """Every circular shift of the options with the letter under which the right one then stands.

    right: index of the right option; the first shift is the given order.
    """
    count = len(options)
    return [
        (tuple(options[(place + shift) % count] for place in range(count)), LETTERS[(right - shift) % count])
        for shift in range(count)
    ]


def chosen_letter(text: str, options: Sequence[str]) -> str | None:
    """The letter that a free answer names: one that stands first ("B", "(B)", "b. a dog"), else that of the option
    which the answer repeats word for word, else None."""
    text = text.strip()
    found = _FIRST.match(text)
    if found and found[1].upper() in LETTERS[: len(options)]:
        return found[1].upper()
    said = text.lower().rstrip(".")
    same = [letter for letter, option in zip(LETTERS, options, strict=False) if option.lower() == said]
    return same[0] if len(same) == 1 else None


def circular_scores(right: Sequence[bool], groups: Sequence[Hashable], sizes: Sequence[int]) -> dict[str, float]:
    """`circular` (share of questions right under every shift, 0..1), `plain` (share of all asked shifts that were
    right) and `questions`.

    right[i] says whether a shift of the question groups[i], which has sizes[i] shifts, was answered right. Questions of
    which not all shifts were asked (a run cut short) are left out.
    Source: Liu et al. 2023, "MMBench: Is Your Multi-modal Model an All-around Player?" (arXiv 2307.06281), section 4.
    """
    marks: dict[Hashable, list[bool]] = defaultdict(list)
    wanted: dict[Hashable, int] = {}
    for mark, group, size in zip(right, groups, sizes, strict=True):
        marks[group].append(bool(mark))
        wanted[group] = size
    whole = [given for group, given in marks.items() if len(given) == wanted[group]]
    if not whole:
        return {"circular": 0.0, "plain": 0.0, "questions": 0}
    asked = sum(map(len, whole))
    return {
        "circular": sum(map(all, whole)) / len(whole),
        "plain": sum(map(sum, whole)) / asked,
        "questions": len(whole),
    }
