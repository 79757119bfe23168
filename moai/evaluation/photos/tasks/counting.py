"""How many things of a kind are there, 1 to 6? Kinds with a box around a crowd are left out.

Most things stand alone, so a count of one is asked no more often than the commonest other count.
"""

from collections import Counter
from collections.abc import Sequence

from moai.evaluation.metrics.phrases import first_number
from moai.evaluation.photos.item import Item, Task, View, each

MOST = 6
DETECTED = 0.5
"""The rule counts detections of at least this score."""
_PLURALS = {
    "person": "people",
    "sheep": "sheep",
    "skis": "skis",
    "scissors": "scissors",
    "knife": "knives",
    "mouse": "mice",
}


def plural(label: str) -> str:
    """A label for several of its things."""
    if label in _PLURALS:
        return _PLURALS[label]
    return label + "es" if label.endswith(("s", "ch", "sh", "x")) else label + "s"


def make(views: Sequence[View], seed: int) -> list[Item]:
    """Items of all pictures whose boxes are exhaustive."""
    counted: dict[int, list[Item]] = {}
    for view in views:
        if not view.photograph.exhaustive:
            continue
        crowded = {box.label for box in view.photograph.boxes if box.crowd}
        counts = Counter(box.label for box in view.photograph.boxes if box.label not in crowded)
        for label, count in sorted(counts.items()):
            if count <= MOST:
                rule = None if view.scene is None else str(view.count(label, DETECTED))
                asked = f"How many {plural(label)} are there in the image?"
                counted.setdefault(count, []).append(
                    Item("counting", "1 to 6", view.name, asked, (str(count),), rule=rule)
                )
    ones = sorted(counted.pop(1, []), key=lambda item: item.place)
    most = max(map(len, counted.values()), default=len(ones))
    return [*ones[:most], *(item for several in counted.values() for item in several)]


TASK = Task(
    "counting",
    "how many things of a kind there are",
    make,
    each(lambda item, text: first_number(text) == int(item.truth[0])),
)
