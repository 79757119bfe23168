"""What signs say: English words, numbers and random strings, with a fixed tenth of the words held out of training.

`words.txt` holds 3,000 lower-case ASCII words of 3 to 9 letters from Debian's `wamerican-small` (SCOWL, see
`words.LICENSE`). The selection rule: first, in an order of our own, words that real signs carry (open, exit, bakery);
then, after an empty line, words that are also in SCOWL's two most common levels (10 and 20), less plain inflections of
another word in the list (-s, -ed, -ing, -ly, -er, -est) and less offensive or grim ones; of these, the ones whose
sha256 sorts first, in alphabetical order.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from moai.data.draws import pick

_MADE_UP = 0.5
MAX_LENGTH = 14
"""Longest sign text in characters, spaces included."""

# O/0, I/1 and l cannot be told apart in many fonts when no word around them helps, so random strings leave them out.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_ALPHANUMERIC = _LETTERS + "23456789" * 2


def is_held_out(word: str) -> bool:
    """True for the tenth of all words (by hash of the lower-case word) that training signs never show."""
    return sha256(word.lower().encode()).digest()[0] % 10 == 0


@cache
def _vocabulary() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(words that signs commonly carry, other words), each in file order."""
    text = (Path(__file__).parent / "words.txt").read_text("ascii")
    signs, others = text.split("\n\n")
    return tuple(signs.split()), tuple(others.split())


@cache
def word_list(split: str = "train") -> tuple[str, ...]:
    """All words of a split, lower-case, common sign words first. `split` is "train" or "heldout", else ValueError."""
    if split not in ("train", "heldout"):
        raise ValueError(f"split must be 'train' or 'heldout', got {split!r}")
    signs, others = _vocabulary()
    return tuple(word for word in signs + others if is_held_out(word) == (split == "heldout"))


@cache
def _sign_words(split: str) -> tuple[str, ...]:
    kept = set(word_list(split))
    return tuple(word for word in _vocabulary()[0] if word in kept)


@cache
def _known() -> frozenset[str]:
    return frozenset(word_list("train"))


@cache
def _all_words() -> frozenset[str]:
    return _known() | frozenset(word_list("heldout"))


def kind_of_text(text: str) -> str:
    """ "known word" (every word is known), "unseen word" (a word of the list that is held out, alone or beside known
    ones), "number" (digits, prices and times: a digit and no letter) or "string" for anything else."""
    if any(character.isdigit() for character in text):
        return "string" if any(character.isalpha() for character in text) else "number"
    words = text.lower().split()
    if words and all(word in _known() for word in words):
        return "known word"
    return "unseen word" if words and all(word in _all_words() for word in words) else "string"


@cache
def _by_pattern(split: str) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for word in word_list(split):
        for at in range(len(word)):
            pattern = word[:at], word[at + 1 :]
            found[pattern] = (*found.get(pattern, ()), word)
    return found


@cache
def look_alikes(word: str) -> tuple[str, ...]:
    """The words of the same split that differ from this lower-case word in one letter; none for what is no word."""
    if word not in _all_words():
        return ()
    patterns = _by_pattern("train" if word in _known() else "heldout")
    return tuple(other for at in range(len(word)) for other in patterns[word[:at], word[at + 1 :]] if other != word)


def _word(rng: np.random.Generator, split: str) -> str:
    if split == "varied":
        return _made_up(rng) if rng.random() < _MADE_UP else _word(rng, "train")
    return pick(rng, _sign_words(split) if rng.random() < 0.25 else word_list(split))


def _made_up(rng: np.random.Generator) -> str:
    """A word of the list with letters changed, left out, put in or swapped, or two halves; never a word of the list."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    while True:
        word = _word(rng, "train")
        if rng.random() < 0.4:
            other = _word(rng, "train")
            word = word[: 1 + int(rng.random() * (len(word) - 1))] + other[1 + int(rng.random() * (len(other) - 1)) :]
        for _ in range(1 + int(rng.random() * 2)):
            at, draw = int(rng.random() * len(word)), rng.random()
            if draw < 0.4:
                word = word[:at] + pick(rng, letters) + word[at + 1 :]
            elif draw < 0.6:
                word = word[:at] + pick(rng, letters) + word[at:]
            elif draw < 0.8:
                word = word[:at] + word[at + 1 :]
            else:
                word = word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
        if 3 <= len(word) <= 11 and word not in _all_words():
            return word


def _two_words(rng: np.random.Generator, split: str) -> str:
    while True:
        text = f"{_word(rng, split)} {_word(rng, split)}"
        if len(text) <= MAX_LENGTH:
            return text


def _in_case(rng: np.random.Generator, text: str) -> str:
    draw = rng.random()
    if draw < 0.70:
        return text.upper()
    return text.title() if draw < 0.88 else text


def _number(rng: np.random.Generator) -> str:
    draw = rng.random()
    if draw < 0.6:
        digits = 2 + int(rng.random() * 4)
        return str(int(10 ** (digits - 1) + rng.random() * 9 * 10 ** (digits - 1)))
    if draw < 0.8:
        return f"{int(rng.random() * 24)}:{int(rng.random() * 12) * 5:02d}"
    price = f"{1 + int(rng.random() * 99)}.{pick(rng, ('00', '25', '49', '50', '75', '90', '95', '99'))}"
    return f"${price}" if rng.random() < 0.5 else price


def _string(rng: np.random.Generator) -> str:
    while True:
        alphabet = _LETTERS if rng.random() < 0.5 else _ALPHANUMERIC
        text = "".join(pick(rng, alphabet) for _ in range(3 + int(rng.random() * 5)))
        # A string that happens to be a word or a number would blur both the held-out tenth and the scores by kind.
        if text.lower() not in _all_words() and not text.isdigit():
            return text


def sign_text(rng: np.random.Generator, split: str = "train") -> str:
    """One line for a sign, 2 to 14 printable ASCII characters.

    About 60 % one word, 12 % two words, 13 % numbers (2 to 5 digits, times, prices) and 15 % random strings of 3 to 7
    letters or digits. Words are mostly in capitals. `split="train"` never shows a held-out word, `split="heldout"`
    shows no other; numbers and strings are alike in both. In "varied" half of the words of "train" are made up, so that
    a reader who knows the others by heart must still spell. Raises ValueError for another split.
    """
    if split not in ("train", "varied", "heldout"):
        raise ValueError(f"split must be 'train', 'varied' or 'heldout', got {split!r}")
    draw = rng.random()
    if draw < 0.60:
        return _in_case(rng, _word(rng, split))
    if draw < 0.72:
        return _in_case(rng, _two_words(rng, split))
    return _number(rng) if draw < 0.85 else _string(rng)
