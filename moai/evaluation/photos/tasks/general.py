"""General questions in text alone: does the model still answer as the language model that it was made from?

The key words of that model's answer are the first word of `general.json` that it holds, else its numbers and names,
else all of its first sentence; an answer is the same that holds all of them. Where that model was not asked, the
expected words count.
"""

import json
import re
from collections.abc import Sequence
from importlib.resources import files

from moai.evaluation.metrics.phrases import holds, loose
from moai.evaluation.photos.item import Item, Task, View

WAY, PLAIN = "question", "plain"
"""How the model is asked: without a picture; and the way of answering that its answers are compared with."""


def make(views: Sequence[View], seed: int) -> list[Item]:
    """The questions of `general.json`, with the words that a right answer may hold."""
    text = files("moai.evaluation.photos").joinpath("general.json").read_text(encoding="utf-8")
    return [Item("general", "text alone", "", one["question"], tuple(one["words"])) for one in json.loads(text)]


def marks(items: Sequence[Item], answers: Sequence[str]) -> list[float]:
    """Whether each answer holds an expected word."""
    return [float(any(holds(text, word) for word in item.truth)) for item, text in zip(items, answers, strict=True)]


def same(items: Sequence[Item], answers: Sequence[str], plain: Sequence[str]) -> list[float]:
    """Whether each answer holds the key words of the plain model's."""
    return [
        float(all(holds(text, key) for key in keys(item, said)))
        for item, text, said in zip(items, answers, plain, strict=True)
    ]


def keys(item: Item, said: str) -> list[str]:
    """The key words of an answer."""
    first = re.split(r"(?<=[.!?])\s|\n", said.strip())[0]
    expected = [word for word in item.truth if holds(said, word)]
    named = re.findall(r"\d[\d.,]*\d|\d|(?<=\s)[A-Z][a-z]+", first)
    asked = loose(item.question).split()
    return expected[:1] or [word for word in named if loose(word) not in asked] or [first]


TASK = Task("general", "general questions in text alone", make, marks, 48, False, ways=(WAY, PLAIN))
