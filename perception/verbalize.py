"""Scene -> the words that the compressor reads, in the sentences that the released weights were trained on."""

from collections import Counter
from collections.abc import Sequence

from perception.scene import Box, Scene

SEGMENT_THRESHOLD = 0.5
DETECTION_THRESHOLD = 0.5
RELATION_THRESHOLD = 0.8
MAX_RELATIONS = 10
OCR_THRESHOLD = 0.85
EXPERTS = ("segmentation", "detection", "scene_graph", "ocr")
SUFFIXES = ("-merged", "-other", "-stuff")

_BOXES = "The image includes bounding box coordinates and their objects: "
_RELATIONS = "The image includes relationships between objects: "
_LINES = "The image includes text descriptions: "


def plain_label(label: str) -> str:
    """A COCO panoptic class as it is spoken: `wall-other-merged` is a wall."""
    for suffix in SUFFIXES:
        label = label.removesuffix(suffix)
    return label


def _listed(opening: str, phrases: list[str]) -> str:
    return f"{opening}{', and '.join(phrases)}." if phrases else ""


def _boxed(box: Box, label: str) -> str:
    return f"[{box[0]:.2f}, {box[1]:.2f}, {box[2]:.2f}, {box[3]:.2f}] {label}"


def say_segmentation(scene: Scene) -> str:
    """The segments' boxes and labels, or the empty string."""
    kept = (one for one in scene.segments if one.score >= SEGMENT_THRESHOLD)
    return _listed(_BOXES, [_boxed(one.box, plain_label(one.label)) for one in kept])


def say_detection(scene: Scene) -> str:
    """The detections' boxes and labels, or the empty string."""
    kept = (one for one in scene.detections if one.score >= DETECTION_THRESHOLD)
    return _listed(_BOXES, [_boxed(one.box, one.label) for one in kept])


def numbered(labels: Sequence[str]) -> list[str]:
    """Spoken labels; those that occur several times are numbered in list order: `person (#1)`, `person (#2)`."""
    plain = [plain_label(label) for label in labels]
    totals, seen, names = Counter(plain), Counter(), []
    for label in plain:
        seen[label] += 1
        names.append(f"{label} (#{seen[label]})" if totals[label] > 1 else label)
    return names


def say_scene_graph(scene: Scene) -> str:
    """The most certain relations, surest first, or the empty string."""
    names = numbered(scene.objects)
    best = sorted(scene.relations, key=lambda one: -one.score)[:MAX_RELATIONS]
    kept = (one for one in best if one.score >= RELATION_THRESHOLD)
    return _listed(_RELATIONS, [f"{names[one.subject]} is {one.predicate} {names[one.object]}" for one in kept])


def say_ocr(scene: Scene) -> str:
    """The recognised lines, or the empty string."""
    return _listed(_LINES, [one.text for one in scene.text_lines if one.score >= OCR_THRESHOLD])


_SAY = dict(zip(EXPERTS, (say_segmentation, say_detection, say_scene_graph, say_ocr), strict=True))


def verbalize(scene: Scene, experts: Sequence[str] = EXPERTS) -> str:
    """What the experts saw, in words: the texts of `experts`, in their fixed order, joined by one space.

    An expert that saw nothing, or is left out, says the empty string, and its space stays.
    """
    return " ".join(_SAY[name](scene) if name in experts else "" for name in EXPERTS)
