"""Possible things: what a picture may show besides the boxes that are said."""

from perception.boxes import side_of
from perception.kinds.detection import DETECTION_THRESHOLD
from perception.kinds.kind import Finding, Kind, Part
from perception.scene import Box, Scene, Tag
from perception.words import boxed_label

POSSIBLE_THRESHOLD = 0.12
"""Labels that are less likely than this to be in the picture are not said."""
MAX_POSSIBLE = 8
"""The most likely labels that are said."""
SURE_ONES, LIKELY_ONES, MOST_SIDES = 3, 4, 3
"""Of which surest and likeliest labels a possible thing's side is looked for, and how many of its sides are said."""


def told(scene: Scene) -> list[Tag]:
    """The labels that are said, the most likely first: none of them is said as a box."""
    boxed = {one.label for one in scene.detections if one.score >= DETECTION_THRESHOLD}
    likely = sorted(scene.part("possible"), key=lambda one: -one.score)
    return [one for one in likely if one.score >= POSSIBLE_THRESHOLD and one.label not in boxed][:MAX_POSSIBLE]


def say(scene: Scene) -> str:
    """The likely labels that are not said as sure boxes, each with its likeliest box where detection found one, and
    with its side of other labels' surest boxes where it is clear; or the empty string."""
    best = {one.label: one for one in sorted(scene.detections, key=lambda one: one.score)}
    boxes = {label: one.box for label, one in best.items()}
    surest = sorted(best.values(), key=lambda one: -one.score)
    likely = told(scene)
    others = [one.label for one in surest if one.score >= DETECTION_THRESHOLD][:SURE_ONES]
    others += [one.label for one in likely if one.label in boxes][:LIKELY_ONES]
    labels = [
        boxed_label(boxes[one.label], one.label) + _sides(one.label, boxes, others, scene)
        if one.label in boxes
        else one.label
        for one in likely
    ]
    if len(labels) > 1:
        labels[-1] = f"and {labels[-1]}"
    return f"The image may also show: {', '.join(labels)}." if labels else ""


def _sides(label: str, boxes: dict[str, Box], others: list[str], scene: Scene) -> str:
    found = [(side_of(boxes[label], boxes[other], scene.width, scene.height), other) for other in others]
    said = [f"{side[0]} {other}" for side, other in found if side is not None and other != label][:MOST_SIDES]
    return f" {' and '.join(said)}" if said else ""


def findings(scene: Scene) -> list[Finding]:
    """Every label; a score is how often such a label is in the picture."""
    return [Finding(one.label, None, one.score) for one in scene.part("possible")]


KIND = Kind(
    name="possible",
    short_name="maybe",
    label="Possible things",
    spoken="the search for possible things",
    colour=(214, 51, 132),
    parts=(Part.of("possible", Tag),),
    say=say,
    findings=findings,
    optional=True,
)
