"""Short free answers beside the truth: numbers, choices of two, and phrases."""

import re
from collections.abc import Sequence

from moai.evaluation.metrics.vqa import normalise_answer

_NOT_SURE = re.compile(
    r"\b(not sure|unsure|not certain|cannot (tell|see|say)|can't (tell|see|say)|don't know|unclear)\b"
)


def first_number(text: str) -> int | None:
    """The first number of an answer, in digits or, up to ten, in words; None when there is none."""
    found = re.search(r"(?<![\w.])\d+(?![\w.]*\d)", normalise_answer(text))
    return None if found is None else int(found[0])


def chosen(text: str, choices: Sequence[str]) -> str | None:
    """The only one of some words or phrases that an answer holds, else None."""
    held = [choice for choice in choices if re.search(rf"\b{re.escape(choice)}\b", text.lower())]
    return held[0] if len(held) == 1 else None


def holds(text: str, phrase: str) -> bool:
    """Whether a text holds a phrase in whole words, whatever case and punctuation."""
    return f" {loose(phrase)} " in f" {loose(text)} "


def loose(text: str) -> str:
    """Lower case and single spaces, no punctuation but what joins digits ("9.30", "12/05/2018")."""
    return " ".join(re.sub(r"(?<!\d)[^\w\s]|[^\w\s](?!\d)", " ", text.lower()).split())


def compact(text: str) -> str:
    """Letters and digits alone, in capitals: as plates, sums and names are compared."""
    return re.sub(r"[^A-Z0-9]", "", text.upper())


def not_sure(text: str) -> bool:
    """Whether an answer says that it cannot be told."""
    return _NOT_SURE.search(text.lower()) is not None


def same_things(answer: str, truth: str) -> bool:
    """Whether two lists separated by commas name the same things, in any order, articles and number words apart."""
    return listed(answer) == listed(truth)


def listed(text: str) -> frozenset[str]:
    """The parts of a list separated by commas, as VQA compares answers."""
    return frozenset(part for one in text.split(",") if (part := normalise_answer(one).strip(" .")))
