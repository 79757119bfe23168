"""Detection: boxes of things."""

from perception.kinds.canvas import Canvas, colour_of
from perception.kinds.kind import Finding, Kind, Part
from perception.scene import Detection, Scene
from perception.words import BOXES, boxed_label, listed

DETECTION_THRESHOLD = 0.5
"""Detections below are neither said nor drawn."""


def say(scene: Scene) -> str:
    """The detections' boxes and labels, or the empty string."""
    kept = (one for one in scene.detections if one.score >= DETECTION_THRESHOLD)
    return listed(BOXES, [boxed_label(one.box, one.label) for one in kept])


def findings(scene: Scene) -> list[Finding]:
    """Every detection."""
    return [Finding(one.label, one.box, one.score) for one in scene.detections]


def draw(canvas: Canvas, scene: Scene) -> None:
    """Boxes with labels and scores."""
    kept = [one for one in scene.detections if one.score >= DETECTION_THRESHOLD]
    for one in kept:
        canvas.frame(canvas.pixels(one.box), colour_of(one.label), 2.5)
    high = canvas.tag_height()
    for one in kept:
        x1, y1, x2, y2 = canvas.pixels(one.box)
        text = f"{one.label} {one.score:.0%}"
        left = x2 - canvas.tag_width(text)
        places = [(x1, y1 - high), (x1, y1), (left, y1 - high), (x1, y2), (left, y2), (x1, y2 - high), (x2, y1)]
        canvas.label(text, colour_of(one.label), places)


KIND = Kind(
    name="detection",
    short_name="det",
    label="Detection",
    spoken="detection",
    colour=(29, 122, 196),
    parts=(Part.of("detections", Detection),),
    say=say,
    findings=findings,
    layer="detections",
    layer_label="Detections",
    draw=draw,
)
