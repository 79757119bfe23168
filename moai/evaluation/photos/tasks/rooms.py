"""Questions of DAQUAR about rooms, with answers of a word or several.

Malinowski and Fritz 2014, "A Multi-World Approach to Question Answering about Real-World Scenes" (arXiv 1410.0210).
"""

from collections.abc import Sequence

from moai.evaluation.metrics.phrases import same_things
from moai.evaluation.photos.item import Item, Task, View, each


def make(views: Sequence[View], seed: int) -> list[Item]:
    """Every question whose source is DAQUAR."""
    return [
        Item("rooms", "DAQUAR", view.name, one["question"], (one["answer"],))
        for view in views
        for one in view.photograph.questions
        if one.get("source") == "DAQUAR"
    ]


TASK = Task(
    "rooms",
    "what is where in a room (DAQUAR)",
    make,
    each(lambda item, text: same_things(text, item.truth[0])),
    tokens=16,
)
