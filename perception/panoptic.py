"""The panoptic colour map: which segment each pixel belongs to, as the compressor sees it."""

from functools import lru_cache

import cv2
import numpy as np

from perception.kinds.segmentation import SEGMENT_THRESHOLD
from perception.labels import COCO_PANOPTIC_CLASSES, OTHER_NAMES
from perception.scene import Scene
from perception.words import plain_label

_IDS = {plain_label(name): index + 1 for index, name in enumerate(COCO_PANOPTIC_CLASSES)}
# Some stuff classes share their spoken name; the raw names stay unambiguous.
_IDS |= {name: index + 1 for index, name in enumerate(COCO_PANOPTIC_CLASSES)}

_IDS |= {other: _IDS[name] for other, name in OTHER_NAMES.items()}


@lru_cache(maxsize=1)
def voc_palette() -> np.ndarray:
    """The Pascal VOC colour map: (256, 3) uint8; bits of the id, lowest first, fill the channels from the top bit."""
    palette = np.zeros((256, 3), dtype=np.uint8)
    for index in range(256):
        for bit in range(8):
            for channel in range(3):
                palette[index, channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return palette


def panoptic_ids(scene: Scene, size: int) -> np.ndarray:
    """Class ids 0..133 (0 = unlabelled, else 1 + index in COCO_PANOPTIC_CLASSES) as a (size, size) uint8 array.

    Where masks overlap, the surer segment wins; a segment without a mask fills its box.
    """
    ids = np.zeros((size, size), dtype=np.uint8)
    for segment in sorted(scene.segments, key=lambda one: one.score):
        class_id = _IDS.get(segment.label)
        if class_id is None or segment.score < SEGMENT_THRESHOLD:
            continue
        if segment.mask is None:
            x1, y1, x2, y2 = (round(edge * size) for edge in segment.box)
            ids[y1:y2, x1:x2] = class_id
        else:
            mask = cv2.resize(segment.mask.astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST)
            ids[mask > 0] = class_id
    return ids


def colour_map(scene: Scene, size: int) -> np.ndarray:
    """`panoptic_ids` in colours: (size, size, 3) uint8."""
    return voc_palette()[panoptic_ids(scene, size)]
