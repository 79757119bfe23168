"""How drafts are combined: by a vote, or in windows that one answer at a time is made of (Self-MoA, 2502.00674)."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

MAX_SAMPLES = 64


@dataclass(frozen=True)
class Draft:
    """One of several answers: its text, the mean log-probability of its tokens, and how many drafts say the same."""

    text: str
    logprob: float
    votes: int = 1


def said(text: str) -> str:
    """What a text says, as a vote counts it: without case, and punctuation and spaces at the ends or in a row."""
    return re.sub(r"\s+", " ", text).strip(" .,;:!?\"'").casefold()


def voted(texts: Sequence[str], logprobs: Sequence[float]) -> tuple[list[Draft], int]:
    """The drafts with their votes, and the index of the winner: most votes, then the highest mean log-probability of
    those who agree, then the first. Of those who agree the surest one is the winner."""
    if not texts:
        raise ValueError("there are no drafts to choose from; give at least one")
    votes = Counter(map(said, texts))
    drafts = [Draft(text, logprob, votes[said(text)]) for text, logprob in zip(texts, logprobs, strict=True)]
    return drafts, max(range(len(drafts)), key=lambda index: (drafts[index].votes, drafts[index].logprob, -index))


def windows(samples: int, window: int, reserve: int) -> list[range]:
    """Groups of drafts for one call each: the first `window`, then `window - reserve` at a time, as the answer so far
    takes `reserve` places. Each of `samples` drafts is in one group.

    Raises ValueError with one sentence for numbers that do not go together.
    """
    check_windows(window, reserve)
    starts = [0, *range(window, samples, window - reserve)]
    return [range(start, min(end, samples)) for start, end in zip(starts, [*starts[1:], samples], strict=True)]


def check_samples(samples: int) -> None:
    """Raises ValueError with one sentence for a number of drafts that is not allowed."""
    _check_whole("samples", samples)
    if not 1 <= samples <= MAX_SAMPLES:
        raise ValueError(f"samples is {samples}; allowed is 1 to {MAX_SAMPLES}")


def check_windows(window: int, reserve: int) -> None:
    """Raises ValueError with one sentence for numbers that do not go together."""
    _check_whole("window", window)
    _check_whole("reserve", reserve)
    if window < 2:
        raise ValueError(f"window is {window}; allowed is 2 or more")
    if reserve < 1:
        raise ValueError(f"reserve is {reserve}; allowed is 1 or more")
    if reserve >= window:
        raise ValueError(f"reserve {reserve} leaves no room in a window of {window}")


def _check_whole(name: str, value) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; allowed is a whole number")
