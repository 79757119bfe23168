"""A few plain questions about well-known photographs: right, or "not sure" where no expert saw it; nothing invented."""

import re
from collections.abc import Sequence

from moai.evaluation.metrics.phrases import first_number, holds, not_sure
from moai.evaluation.metrics.yes_no import sentence_yes_no
from moai.evaluation.photos.item import Item, Task, View, each
from moai.evaluation.photos.tasks.counting import plural
from perception.labels import COCO_PANOPTIC_CLASSES, OTHER_NAMES

SOURCE = "shown"
SPOKEN = 0.5
THINGS = COCO_PANOPTIC_CLASSES[:80]
_PEOPLE = ("man", "men", "woman", "women", "boy", "boys", "girl", "girls", "lady", "guy", "player")
_NAMES = {
    **{name: label for label in THINGS for name in (label, plural(label))},
    **OTHER_NAMES,
    **dict.fromkeys(_PEOPLE, "person"),
    "table": "dining table",
    "kitten": "cat",
}
_AMBIGUOUS = {"orange", "oranges", "remote", "mouse", "mice", "light"}
"""Colours and other words that name no thing as often as one."""


def make(views: Sequence[View], seed: int) -> list[Item]:
    """The questions of the pictures whose source is "shown"; `sees` lists what an expert must have seen to know it."""
    items = []
    for view in views:
        for one in view.photograph.questions:
            if one.get("source") == SOURCE:
                unseen = view.scene is not None and any(not _seen(view, label) for label in one.get("sees", ()))
                truth = (one["answer"], *one.get("others", ()))
                items.append(
                    Item(SOURCE, one["kind"], view.name, one["question"], truth, of="unseen" if unseen else "")
                )
    return items


def _seen(view: View, label: str) -> bool:
    assert view.scene is not None
    tags = [one.label for one in view.scene.part("tags") if one.score >= SPOKEN]
    return bool(view.count(label, SPOKEN)) or any(holds(tag, label) for tag in tags)


def named(text: str) -> set[str]:
    """COCO's things that a text names."""
    rest, found = f" {' '.join(re.findall(r'[a-z]+', text.lower()))} ", set()
    for name in sorted(_NAMES, key=len, reverse=True):
        if name not in _AMBIGUOUS and f" {name} " in rest:
            found.add(_NAMES[name])
            rest = rest.replace(f" {name} ", " . ")
    return found


def mark(item: Item, text: str) -> bool:
    """Of descriptions: the first thing of the truth is named, and nothing that is not there."""
    if item.group == "describe":
        things = named(text)
        return things <= set(item.truth) and (item.truth[0] not in THINGS or item.truth[0] in things)
    if item.of == "unseen" and not_sure(text):
        return True
    if item.group == "exists":
        return not not_sure(text) and sentence_yes_no(text) == item.truth[0]
    if item.group == "count":
        return str(first_number(text)) in item.truth
    return any(holds(text, one) for one in item.truth)


def measures(items: Sequence[Item], answers: Sequence[str]) -> dict[str, float]:
    """Things that descriptions name and the pictures do not show, a description."""
    told = [(item, text) for item, text in zip(items, answers, strict=True) if item.group == "describe"]
    return {"invented": sum(len(named(text) - set(item.truth)) for item, text in told) / len(told)} if told else {}


TASK = Task(SOURCE, "plain questions about well-known photographs", make, each(mark), 48, False, measures)
