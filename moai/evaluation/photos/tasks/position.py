"""Where is one thing, seen from another: left or right, above or below? Of two things that each are there once.

Only clear cases are asked: the boxes do not overlap in that direction, and their middles are a fifth of the picture
apart.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from moai.data.photographs.photograph import LabelledBox
from moai.evaluation.metrics.phrases import chosen
from moai.evaluation.photos.item import Item, Task, View, each

APART = 0.2
PER_PICTURE = 4
_AXES = {"left or right": ("left", "right", 0), "above or below": ("above", "below", 1)}
_ASKED = {
    "left or right": "Is the {} to the {} or to the {} of the {}?",
    "above or below": "Is the {} {} or {} the {}?",
}


def make(views: Sequence[View], seed: int) -> list[Item]:
    """Items of all pictures whose boxes are exhaustive; which thing and which word comes first is left to chance."""
    items = []
    for view in views:
        if not view.photograph.exhaustive:
            continue
        rng = view.random(seed, "position")
        totals = Counter(box.label for box in view.photograph.boxes)
        single = [box for box in view.photograph.boxes if totals[box.label] == 1 and not box.crowd]
        found = []
        for pair in combinations(single, 2):
            for group, (before, after, axis) in _AXES.items():
                one, other = pair if rng.random() < 0.5 else pair[::-1]
                truth = _side(one.box, other.box, axis, (before, after))
                words = (before, after) if rng.random() < 0.5 else (after, before)
                if truth is not None:
                    asked = _ASKED[group].format(one.label, *words, other.label)
                    rule = _ruled(view, one, other, axis, (before, after))
                    found.append(Item("position", group, view.name, asked, (truth,), rule=rule))
        items += [found[place] for place in sorted(rng.permutation(len(found))[:PER_PICTURE])]
    return items


def _side(one, other, axis: int, words: tuple[str, str]) -> str | None:
    """Which of `words` (before, behind along an axis) is true of a box beside another; None where it is not clear."""
    middles = [(box[axis] + box[axis + 2]) / 2 for box in (one, other)]
    if abs(middles[0] - middles[1]) < APART:
        return None
    if one[axis + 2] <= other[axis]:
        return words[0]
    return words[1] if other[axis + 2] <= one[axis] else None


def _ruled(view: View, one: LabelledBox, other: LabelledBox, axis: int, words: tuple[str, str]) -> str | None:
    """What the surest detections of both labels say; the first word where one was not seen."""
    if view.scene is None:
        return None
    best = [
        max(
            (found for found in view.scene.detections if found.label == label),
            key=lambda found: found.score,
            default=None,
        )
        for label in (one.label, other.label)
    ]
    if best[0] is None or best[1] is None:
        return words[0]
    middles = [found.box[axis] + found.box[axis + 2] for found in best if found is not None]
    return words[int(middles[0] > middles[1])]


def mark(item: Item, text: str) -> bool:
    """Whether the answer holds the right word of the two and not the other."""
    return chosen(text, item.group.split(" or ")) == item.truth[0]


TASK = Task("position", "where one thing is, seen from another", make, each(mark))
