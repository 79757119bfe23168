"""Answers that are a date, an amount or a code are taken from what was read.

A few auxiliary tokens do not carry every digit of a page, and a model that half remembers a number writes another one.
What the OCR expert read holds it letter by letter: where an answer of that kind stands nowhere in it, the model chooses
among what was read of the same kind, by how likely it finds each behind the question.
"""

import re

from perception.kinds.ocr import OCR_THRESHOLD
from perception.scene import Scene

LONGEST = 24
"""Letters of an answer that may be one of these, at most."""
MOST = 48
"""Readings that are compared at most, those first that stand first."""
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_KINDS = {
    "date": re.compile(
        rf"\d{{1,4}}([-/.])\d{{1,2}}\1\d{{1,4}}|\d{{1,2}}[ -]?({_MONTHS})[a-z]*\.?[ -,]*\d{{2,4}}"
        rf"|({_MONTHS})[a-z]*\.? ?\d{{1,2}},? ?\d{{4}}",
        re.IGNORECASE,
    ),
    "amount": re.compile(r"-?\d{1,3}(,?\d{3})*\.\d{2}"),
    "code": re.compile(r"(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z0-9]{4,12}"),
}
_CURRENCY = re.compile(r"^(RM|USD|EUR|SGD|[$£€¥]) ?", re.IGNORECASE)
_PLATE, _LONGEST_PLATE = re.compile(r"[A-Za-z0-9 ·•-]+"), 10
"""A line that may be one code in several pieces."""
_CAPITALS, _SIGNS, _NAME = re.compile("[A-Z]{0,11}"), re.compile("[-$£€¥ ]{1,3}"), re.compile(r"([a-z]{1,9})[. -]{0,2}")
"""What a code, an amount, and a currency's or a month's name look like before the first digit."""
_WORDS_OF_A_DATE = 3


def kind_of(text: str) -> str | None:
    """ "date", "amount" or "code" (letters and digits without a space, as on number plates) for a text that is nothing
    else; None for any other, so for counts and whole numbers too."""
    text = _CURRENCY.sub("", text.strip().rstrip("."))
    return next((name for name, pattern in _KINDS.items() if pattern.fullmatch(text)), None)


def may_become_one(text: str) -> bool:
    """Whether an answer that begins like this may turn out to be of a kind."""
    if len(text) > LONGEST:
        return False
    if any(letter.isdigit() for letter in text) or _CAPITALS.fullmatch(text) or _SIGNS.fullmatch(text):
        return True
    name = _NAME.fullmatch(text.lower())
    names = (*_MONTHS.split("|"), "rm", "usd", "eur", "sgd")
    return name is not None and any(one.startswith(name[1][:3]) for one in names)


def readings(answer: str, scene: Scene) -> list[str]:
    """What was read of the kind of an answer that was not read itself, each once; else nothing."""
    lines = [one.text for one in scene.text_lines if one.score >= OCR_THRESHOLD]
    kind = kind_of(answer) if len(answer) <= LONGEST else None
    if kind is None or _squeezed(answer) in _squeezed(" ".join(lines)):
        return []
    found = dict.fromkeys(piece for line in lines for piece in _pieces(line) if kind_of(piece) == kind)
    return list(found)[:MOST]


def _pieces(line: str) -> list[str]:
    """One to three words of a line that stand together, without what stands around them; and a short line as a code."""
    words = line.replace(":", " ").split()
    runs = [" ".join(words[at : at + n]) for n in range(1, _WORDS_OF_A_DATE + 1) for at in range(len(words) - n + 1)]
    bare = [_CURRENCY.sub("", one.strip(".,;()[]*-·\"'")) for one in runs]
    plate = _squeezed(line) if _PLATE.fullmatch(line) else ""
    return [*bare, *([plate] if 0 < len(plate) <= _LONGEST_PLATE else [])]


def _squeezed(text: str) -> str:
    return re.sub("[^A-Z0-9]", "", text.upper())
