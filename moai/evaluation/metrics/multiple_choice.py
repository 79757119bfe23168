"""Circular evaluation of multiple-choice questions, as MMBench does it."""

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence

LETTERS = "ABCDEFGH"
_END = r"(?=$|[\s.,:;!)\]：。，）])"
_ALONE = re.compile(r"[(\[]?([A-Za-z])[)\]]?[.:)：。]?")
_LETTER = r"\s*[:：]?\s*[(\[]?([A-Za-z])" + _END
# Two letters in a row choose nothing: "A and B", "B or C", "A, C".
_SEVERAL = re.compile(r"[(\[]?[A-Z][)\]]?\s*(?:,|/|&|\band\b|\bor\b)\s*[(\[]?[A-Z][)\]]?" + _END)
_STATED = re.compile(r"\b(?:answer|choice|option|letter)(?:\s+(?:is|would be|should be))?" + _LETTER, re.IGNORECASE)
_STATED_CHINESE = re.compile(r"(?:答案|选项|选择|选)是?" + _LETTER)
_LEADING = re.compile(r"[(\[]?([A-Za-z])(?:[.,:;)\]：。，）]|(?=\s))")
_MARKUP = re.compile(r"[*_`\"“”]+")
_ARTICLE = re.compile(r"^(?:a|an|the)\s+")
_REASON = re.compile(r"\s+(?:because|since|is|as)\b")
_DENIED = re.compile(r"\b(?:not|no|neither|nor)\b|n't\b")


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
    """The letter that a free answer chooses, None where it chooses none or more than one.

    text: the answer, "B", "(b)", "**B**", "B. a dog", "Answer: B", "The answer is B" or an option in words; options:
    their texts in order, at most eight. A letter that stands alone counts first, then an option's text word for word
    (but for case, an article and the full stop), then a letter that is stated or leads, then the one option whose text
    stands in the answer. The article of "a cat" is no letter. What is unreadable is wrong in every score, and counted.
    """
    text = _MARKUP.sub("", text).strip()
    letters = LETTERS[: len(options)]
    if alone := _ALONE.fullmatch(text):
        return _among(letters, {alone[1].upper()})
    plain = [_plain(option) for option in options]
    same = {letter for letter, option in zip(letters, plain, strict=True) if option and option == _plain(text)}
    if same:
        return _among(letters, same)
    if _SEVERAL.match(text):
        return None
    stated = [found for form in (_STATED, _STATED_CHINESE) for found in form.finditer(text)]
    stated = [found for found in stated if _is_letter(found, text)]
    leading = _LEADING.match(text)
    named = {found[1].upper() for found in stated}
    if not named and leading and _is_letter(leading, text):
        named = {leading[1].upper()}
    return _among(letters, named) if named else _among(letters, _contained(plain, letters, text.lower()))


def unreadable(texts: Sequence[str], options: Sequence[Sequence[str]]) -> int:
    """How many of these answers choose no option, each beside its own options."""
    return sum(chosen_letter(text, one) is None for text, one in zip(texts, options, strict=True))


def _among(letters: str, chosen: set[str]) -> str | None:
    """The only letter of `chosen`, if it is one of the options' letters."""
    return next(iter(chosen)) if len(chosen) == 1 and chosen <= set(letters) else None


def _plain(text: str) -> str:
    return _ARTICLE.sub("", _MARKUP.sub("", text).strip().lower().rstrip(".。 "))


def _is_letter(found: re.Match, text: str) -> bool:
    """Whether the letter of a match is one, and not a word: before another word an "a" or "A" is an article, and any
    small letter is a word, unless a mark or a reason follows ("A because")."""
    after = text[found.end(1) :]
    if not after[:1].isspace():
        return True
    called = found[0].lower().startswith(("option", "choice", "letter"))
    return found[1].isupper() and (found[1] != "A" or called or _REASON.match(after) is not None)


def _contained(options: Sequence[str], letters: str, text: str) -> set[str]:
    """The letters of the options whose text stands in the answer, but for those inside another's ("dog" in "hot dog").

    An answer that denies something chooses none by its words.
    """
    if _DENIED.search(text) and not any(_DENIED.search(option) for option in options):
        return set()
    rest, found = text, set()
    for letter, option in sorted(zip(letters, options, strict=True), key=lambda pair: -len(pair[1])):
        # Chinese has no spaces between words.
        pattern = rf"(?<!\w){re.escape(option)}(?!\w)" if option.isascii() else re.escape(option)
        if option and re.search(pattern, rest):
            found.add(letter)
            rest = re.sub(pattern, " ", rest)
    return found


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
