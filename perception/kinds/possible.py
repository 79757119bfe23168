"""Possible things: what a picture may show besides the boxes that are said."""

from perception.kinds.detection import DETECTION_THRESHOLD
from perception.kinds.kind import Finding, Kind, Part
from perception.scene import Scene, Tag
from perception.words import boxed_label

POSSIBLE_THRESHOLD = 0.12
"""Labels that are less likely than this to be in the picture are not said."""
MAX_POSSIBLE = 8
"""The most likely labels that are said."""


def told(scene: Scene) -> list[Tag]:
    """The labels that are said, the most likely first: none of them is said as a box."""
    boxed = {one.label for one in scene.detections if one.score >= DETECTION_THRESHOLD}
    likely = sorted(scene.part("possible"), key=lambda one: -one.score)
    return [one for one in likely if one.score >= POSSIBLE_THRESHOLD and one.label not in boxed][:MAX_POSSIBLE]


def say(scene: Scene) -> str:
    """The likely labels that are not said as sure boxes, each with its likeliest box where detection found one; or the
    empty string."""
    boxes = {one.label: one.box for one in sorted(scene.detections, key=lambda one: one.score)}
    labels = [boxed_label(boxes[one.label], one.label) if one.label in boxes else one.label for one in told(scene)]
    if len(labels) > 1:
        labels[-1] = f"and {labels[-1]}"
    return f"The image may also show: {', '.join(labels)}." if labels else ""


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
