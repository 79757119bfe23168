"""What made-up texts are made of, from `words.txt`: lists by name, and patterns that are filled at random."""

import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from moai.data.draws import pick

_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


@lru_cache(maxsize=1)
def _lists() -> dict[str, tuple[str, ...]]:
    lines = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").splitlines()
    return {name: tuple(items.split(" | ")) for name, items in (line.split(": ", 1) for line in lines)}


def word(rng: np.random.Generator, name: str) -> str:
    """One item of the list of this name."""
    return pick(rng, _lists()[name])


def filled(rng: np.random.Generator, pattern: str) -> str:
    """The pattern with a digit for every 9 and a capital letter for every A."""
    choices = {"9": "0123456789", "A": _LETTERS}
    return "".join(pick(rng, choices.get(one, one)) for one in pattern)


def moment(rng: np.random.Generator, name: str) -> str:
    """A date ("dates") or a time of the day ("times") in one of many forms, in capital letters."""
    start = datetime.datetime(2005, 1, 1)
    return (start + datetime.timedelta(seconds=rng.random() * 21 * 365 * 86400)).strftime(word(rng, name)).upper()
