"""OCR: the text in a picture."""

from perception.kinds.canvas import Canvas
from perception.kinds.kind import Finding, Kind, Part
from perception.scene import Scene, TextLine
from perception.words import listed

OCR_THRESHOLD = 0.85
"""Lines below are neither said nor drawn."""
COLOUR = (255, 214, 10)
MAX_TAG = 24
"""Longer lines get no tag: the words of a page are on the page already, and tags would hide them."""


def say_ocr(scene: Scene) -> str:
    """The recognised lines, or the empty string."""
    lines = [one.text for one in scene.text_lines if one.score >= OCR_THRESHOLD]
    return listed("The image includes text descriptions: ", lines)


def findings(scene: Scene) -> list[Finding]:
    """Every line, in reading order."""
    return [Finding(one.text, one.box, one.score) for one in scene.text_lines]


def draw(canvas: Canvas, scene: Scene) -> None:
    """Outlined lines, short ones with what was read."""
    high = canvas.tag_height()
    for line in scene.text_lines:
        if line.box is None or line.score < OCR_THRESHOLD:
            continue
        x1, y1, x2, y2 = canvas.pixels(line.box)
        canvas.frame((x1, y1, x2, y2), COLOUR, 2)
        if len(line.text) <= MAX_TAG:
            canvas.label(f"“{line.text}”", COLOUR, [(x1, y2), (x1, y1 - high), (x2, y1), (x1, y2 + high)])


KIND = Kind(
    name="ocr",
    short_name="ocr",
    label="OCR",
    spoken="OCR",
    colour=COLOUR,
    parts=(Part.of("text_lines", TextLine),),
    say=say_ocr,
    findings=findings,
    layer="text",
    layer_label="Text",
    draw=draw,
)
