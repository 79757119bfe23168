"""Segmentation: which thing or stuff each pixel shows."""

from perception.boxes import mask_to_rle, rle_to_mask
from perception.kinds.canvas import Canvas, colour_of
from perception.kinds.kind import Finding, Kind, Part, boxed
from perception.scene import Scene, Segment
from perception.words import BOXES, boxed_label, listed, plain_label

SEGMENT_THRESHOLD = 0.5
"""Segments below are neither said nor drawn."""


def say(scene: Scene) -> str:
    """The segments' boxes and labels, or the empty string."""
    kept = (one for one in scene.segments if one.score >= SEGMENT_THRESHOLD)
    return listed(BOXES, [boxed_label(one.box, plain_label(one.label)) for one in kept])


def findings(scene: Scene) -> list[Finding]:
    """Every segment."""
    return [Finding(one.label, one.box, one.score) for one in scene.segments]


def draw(canvas: Canvas, scene: Scene) -> None:
    """Translucent masks with labels; what carries a detection's tag already gets none."""
    kept = [one for one in scene.segments if one.score >= SEGMENT_THRESHOLD]
    for one in kept:
        if one.mask is not None:
            canvas.tint(one.mask, colour_of(plain_label(one.label)))
    tagged = {one.label for one in scene.detections} if "detections" in canvas.layers else set()
    for one in kept:
        label = plain_label(one.label)
        if label in tagged:
            continue
        x1, y1, x2, y2 = canvas.pixels(one.box)
        places = [((x1 + x2) / 2, (y1 + y2) / 2), ((x1 + x2) / 2, y1), ((x1 + x2) / 2, y2), (x1, y1), (x2, y2)]
        if one.mask is not None and one.mask.any():
            places = canvas.inner_places(one.mask) + places
        canvas.label(label, colour_of(label), places, "middle")


def _to_plain(segment: Segment, exact: bool) -> dict:
    record = {"label": segment.label, "box": segment.box, "score": segment.score}
    if exact:
        record["mask"] = None if segment.mask is None else mask_to_rle(segment.mask)
    return record


def _from_plain(record: dict) -> Segment:
    rle = record.get("mask")
    return Segment(**boxed(record) | {"mask": None if rle is None else rle_to_mask(rle)})


KIND = Kind(
    name="segmentation",
    short_name="seg",
    label="Segmentation",
    spoken="segmentation",
    colour=(42, 157, 90),
    parts=(Part("segments", _to_plain, _from_plain, Segment),),
    say=say,
    findings=findings,
    layer="segments",
    layer_label="Segments",
    draw=draw,
)
