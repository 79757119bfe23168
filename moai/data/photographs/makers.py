"""Which questions a photograph is asked, and how often each sort."""

from collections.abc import Callable, Mapping

from moai.data.draws import weighted
from moai.data.photographs.asking import Asking, Turn
from moai.data.photographs.questions import (
    asked,
    captions,
    choice,
    colours,
    counting,
    existence,
    lists,
    position,
    reading,
    sentences,
    unanswerable,
)

Maker = Callable[[Asking], Turn | None]

# Weights of the sorts; one that a photograph does not allow leaves its share to the others.
MAKERS: dict[str, tuple[Maker, float]] = {
    "existence": (existence.existence, 3.0),
    "counting": (counting.counting, 2.2),
    "relative": (position.relative, 5.0),
    "place": (position.place, 2.0),
    "beside": (position.beside, 0.3),
    "larger": (position.larger, 0.3),
    "objects": (lists.objects, 0.4),
    "sort": (lists.sort, 0.8),
    "caption": (captions.caption, 1.5),
    "description": (captions.description, 0.3),
    "caption pair": (captions.pair, 0.8),
    "statement": (asked.statement, 0.6),
    "question": (asked.question, 5.0),
    "plate": (reading.plate, 4.0),
    "field": (reading.field, 4.0),
    "row": (reading.row, 1.0),
    "colour": (colours.colour, 0.8),
    "choice": (choice.choice, 0.8),
    "seen text": (reading.seen_text, 0.5),
    "sentence": (sentences.sentence, 0.35),
    "missing thing": (unanswerable.thing, 0.5),
    "missing text": (unanswerable.text, 0.25),
}
_MANY = ("existence", "caption pair", "missing thing")
_ONCE = frozenset({"caption", "description", "objects", "all", "how many"})
_EACH_ONCE = frozenset({"field", "row", "plate", "about"})
"""Sorts of which no answer is asked for twice."""
_TRIES = 6


def ask(asking: Asking, count: int, makers: Mapping[str, tuple[Maker, float]] = MAKERS) -> list[tuple[str, Turn]]:
    """Up to `count` different questions with their sorts; a caption is asked for once, and some sorts for a third of
    the time at most."""
    names, weights = tuple(makers), [weight for _, weight in makers.values()]
    found: dict[str, tuple[str, Turn]] = {}
    told, answered = set(), set()
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        name = weighted(asking.rng, names, weights)
        if name in told or (name in _MANY and sum(name == sort for sort, _ in found.values()) > count / 3):
            continue
        turn = makers[name][0](asking)
        if turn is None or (name, turn[1]) in answered:
            continue
        found.setdefault(turn[0], (name, turn))
        told |= {name} & _ONCE
        answered |= {(name, turn[1])} if name in _EACH_ONCE else set()
    return list(found.values())
