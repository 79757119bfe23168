"""The same photograph otherwise: mirrored, cut, in other light; what people and experts say of it goes along."""

import re
from dataclasses import replace

import cv2
import numpy as np

from moai.data.photographs.photograph import LabelledBox, Photograph
from moai.models.modeling import IGNORED
from perception.scene import Box, Scene

SIDES = re.compile(r"\b(left|right|clockwise)", re.IGNORECASE)
"""Words that a mirrored picture makes wrong."""
CUT, LEAST_SIDE = 0.7, 0.55
"""How often a picture is cut, and how much of its width and height is left at least."""
LEAST_SEEN, WELL_SEEN = 0.25, 0.6
"""Shares of a thing that are left in a cut picture: below the first it is gone, below the second easily missed."""


def varied(
    photograph: Photograph, pixels: np.ndarray, scene: Scene | None, rng: np.random.Generator
) -> tuple[Photograph, np.ndarray, Scene | None]:
    """The photograph, its pixels (H, W, 3) uint8 and what experts saw, varied as `rng` draws it.

    What holds text is neither mirrored nor cut, and of whose left and right people speak is not mirrored. A picture is
    cut only where boxes, not words, say what is there.
    """
    if photograph.text_lines or photograph.fields or (scene is not None and scene.text_lines):
        return photograph, _lit(pixels, rng), scene
    if rng.random() < 0.5 and not _sided(photograph):
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        photograph, scene = _moved(photograph, scene, _mirrored)
        if scene is not None:
            scene.relations = [replace(one, predicate=_other_side(one.predicate)) for one in scene.relations]
    if photograph.exhaustive and rng.random() < CUT:
        width, height = rng.uniform(LEAST_SIDE, 1, 2)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        high, wide = pixels.shape[:2]
        rows = slice(int(top * high), max(int((top + height) * high), int(top * high) + 1))
        columns = slice(int(left * wide), max(int((left + width) * wide), int(left * wide) + 1))
        pixels = np.ascontiguousarray(pixels[rows, columns])

        def cut(box: Box) -> Box:
            x1, x2 = (min(max((x - left) / width, 0.0), 1.0) for x in (box[0], box[2]))
            y1, y2 = (min(max((y - top) / height, 0.0), 1.0) for y in (box[1], box[3]))
            return x1, y1, x2, y2

        photograph, scene = _moved(photograph, scene, cut, (width, height))
        photograph = wordless(photograph)  # Words were said of the whole picture.
    return photograph, _lit(pixels, rng), scene


def wordless(photograph: Photograph) -> Photograph:
    """Without what people said of it: boxes alone."""
    return replace(photograph, captions=(), questions=(), caption_pairs=(), spatial_statements=())


def _sided(photograph: Photograph) -> bool:
    said = [*photograph.captions, *(str(one) for one in photograph.questions)]
    said += [str(one) for one in (*photograph.caption_pairs, *photograph.spatial_statements)]
    return any(SIDES.search(text) for text in said)


def _other_side(predicate: str) -> str:
    other = {"left": "right", "right": "left"}
    return re.sub(r"\b(left|right)\b", lambda found: other[found[0]], predicate)


def _mirrored(box: Box) -> Box:
    return 1 - box[2], box[1], 1 - box[0], box[3]


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def _moved(
    photograph: Photograph, scene: Scene | None, place, kept: tuple[float, float] = (1.0, 1.0)
) -> tuple[Photograph, Scene | None]:
    """Every box where `place` puts it; `kept` are the shares of width and height that are left of the picture."""
    whole = kept[0] * kept[1]

    def seen(box: Box) -> float:
        return _area(place(box)) * whole / max(_area(box), 1e-9)

    boxes = []
    for one in photograph.boxes:
        share = seen(one.box)
        if share >= LEAST_SEEN:
            boxes.append(LabelledBox(one.label, place(one.box), one.crowd or share < WELL_SEEN))
    photograph = replace(photograph, boxes=tuple(boxes))
    if scene is None:
        return photograph, None
    scene = replace(
        scene,
        detections=[replace(one, box=place(one.box)) for one in scene.detections if seen(one.box) >= LEAST_SEEN],
        segments=[],
    )
    if scene.object_boxes:
        there = [index for index, box in enumerate(scene.object_boxes) if seen(box) >= LEAST_SEEN]
        number = {index: place for place, index in enumerate(there)}
        scene.relations = [
            replace(one, subject=number[one.subject], object=number[one.object])
            for one in scene.relations
            if one.subject in number and one.object in number
        ]
        scene.objects = [scene.objects[index] for index in there]
        scene.object_boxes = [place(scene.object_boxes[index]) for index in there]
    return photograph, scene


def _lit(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In other light: contrast, brightness and how colourful it is are a little changed."""
    if rng.random() < 0.25:
        return pixels
    pixels = cv2.convertScaleAbs(pixels, alpha=rng.uniform(0.75, 1.25), beta=rng.uniform(-25, 25))
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    colour = rng.uniform(0.7, 1.3)
    return cv2.addWeighted(pixels, colour, grey, 1 - colour, 0)


def dimmed(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """So coarse that hardly more than its colours can be told: 3 to 12 pixels a side, enlarged again."""
    side = int(rng.integers(3, 13))
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def patch_classes(photograph: Photograph, class_names: tuple[str, ...], side: int = 36) -> np.ndarray | None:
    """What stands where, after boxes: (side, side) index into `class_names` or -100 where there is no box; a smaller
    box lies over a larger one. None for a photograph that is not exhaustive."""
    if not photograph.exhaustive:
        return None
    classes = np.full((side, side), IGNORED)
    for one in sorted(photograph.boxes, key=lambda one: -_area(one.box)):
        if one.label in class_names and not one.crowd:
            x1, y1, x2, y2 = (round(edge * side) for edge in one.box)
            classes[y1:y2, x1:x2] = class_names.index(one.label)
    return classes
