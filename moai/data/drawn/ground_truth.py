"""A layout told as perfect experts would tell it."""

import numpy as np

from moai.data.drawn.catalog import COCO_THINGS
from moai.data.drawn.layout import Layout
from moai.data.drawn.render.render import Drawn
from moai.data.drawn.render.signs import line_box
from perception.boxes import extent
from perception.reading import reading_order
from perception.scene import Box, Detection, Relation, Scene, Segment, TextLine

_COCO = frozenset(COCO_THINGS)
MIN_STUFF = 0.002
"""Stuff of which less than this share of the picture is left to see is not told."""


def stuff_masks(layout: Layout, drawn: Drawn) -> dict[str, np.ndarray]:
    """Named stuff -> boolean (H, W) mask of where it can be seen, for what is large enough to tell."""
    free = drawn.instances == -1
    masks: dict[str, np.ndarray] = {}
    for index, stuff in enumerate(layout.stuff):
        if stuff.label:
            mask = free & (drawn.stuff == index)
            masks[stuff.label] = masks[stuff.label] | mask if stuff.label in masks else mask
    return {label: mask for label, mask in masks.items() if np.count_nonzero(mask) >= MIN_STUFF * mask.size}


def _stuff_boxes(layout: Layout) -> dict[str, Box]:
    """Named stuff -> extent of its polygons."""
    boxes: dict[str, Box] = {}
    for stuff in layout.stuff:
        if stuff.label:
            points = np.asarray(stuff.polygon)
            box = (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
            if stuff.label in boxes:
                old = boxes[stuff.label]
                box = (min(box[0], old[0]), min(box[1], old[1]), max(box[2], old[2]), max(box[3], old[3]))
            boxes[stuff.label] = box
    return boxes


def to_scene(layout: Layout, drawn: Drawn | None = None) -> Scene:
    """The ground truth of a layout.

    `segments`: COCO things in paint order, then named stuff. `detections`: all things in paint order, then signs.
    `objects`: all things in paint order (signs left out), then the stuff that takes part in a relation, with
    `object_boxes`. `text_lines`: in reading order, boxes around the letters. All scores are 1.

    With `drawn`, segments carry masks of what can be seen and all boxes of things and stuff are the extents of these
    masks; without, boxes are the layout's, whatever is covered. Things that cannot be seen at all keep the layout's
    box in `objects` and are left out of segments and detections.
    """
    width, height = layout.width, layout.height
    scene = Scene(width, height) if drawn is None else Scene(drawn.image.shape[1], drawn.image.shape[0])
    masks = [None if drawn is None else drawn.instances == index for index in range(len(layout.objects))]
    boxes = [
        item.box if mask is None else extent(mask) for item, mask in zip(layout.objects, masks, strict=True)
    ]  # fmt: skip
    for item, mask, box in zip(layout.objects, masks, boxes, strict=True):
        scene.objects.append(item.label)
        scene.object_boxes.append(box or item.box)
        if box is None:
            continue
        scene.detections.append(Detection(item.label, box, 1.0))
        if item.label in _COCO:
            scene.segments.append(Segment(item.label, box, 1.0, mask))
    for index, sign in enumerate(layout.signs):
        box = sign.box if drawn is None else extent(drawn.instances == -2 - index)
        if box is not None:
            scene.detections.append(Detection("sign", box, 1.0))
    if drawn is None:
        stuff = [Segment(label, box) for label, box in _stuff_boxes(layout).items()]
    else:
        stuff = [Segment(label, extent(mask), 1.0, mask) for label, mask in stuff_masks(layout, drawn).items()]
    scene.segments += stuff
    _add_relations(scene, layout, {segment.label: segment.box for segment in stuff})
    lines = [TextLine(sign.text, 1.0, line_box(sign, width, height)) for sign in layout.signs]
    scene.text_lines = [lines[index] for index in reading_order([line.box for line in lines])]
    return scene


def _add_relations(scene: Scene, layout: Layout, stuff_boxes: dict[str, Box]) -> None:
    nodes: dict[str, int] = {}
    for subject, predicate, other in layout.relations:
        if other >= len(layout.objects):
            label = layout.label_of(other)
            if label not in stuff_boxes:
                continue
            if label not in nodes:
                nodes[label] = len(scene.objects)
                scene.objects.append(label)
                scene.object_boxes.append(stuff_boxes[label])
            other = nodes[label]
        scene.relations.append(Relation(subject, predicate, other, 1.0))
