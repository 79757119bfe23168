"""Panoptic segmentation: which COCO thing or stuff each pixel shows, from a YOLO segmentation network."""

from collections.abc import Sequence

import numpy as np

from perception.expert import ExpertUnavailable
from perception.labels import COCO_PANOPTIC_CLASSES
from perception.scene import Box, Scene, Segment
from perception.words import plain_label
from perception.yolo import Found, Yolo

KNOWN = frozenset(COCO_PANOPTIC_CLASSES) | frozenset(plain_label(name) for name in COCO_PANOPTIC_CLASSES)
COCO_THINGS = frozenset(COCO_PANOPTIC_CLASSES[:80])
MIN_SHARE = 0.25
"""A segment of whose mask less than this share is left after surer ones took theirs is dropped."""
MIN_PIXELS = 12


def extent(mask: np.ndarray) -> Box | None:
    """The box of a boolean (H, W) mask in shares of the picture, right and bottom exclusive; None when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    height, width = mask.shape
    left, right = float(columns[0] / width), float((columns[-1] + 1) / width)
    return left, float(rows[0] / height), right, float((rows[-1] + 1) / height)


def panoptic(found: Found, stuff: frozenset[str]) -> list[Segment]:
    """Segments with disjoint masks: COCO things, surest first, then stuff, surest first, one segment a stuff label.

    Every thing keeps its pixels from stuff behind it, also one whose label COCO does not know. `stuff` names the
    labels of `found` that are stuff.
    """
    if found.masks is None or not len(found.masks):
        return []
    taken = np.zeros(found.masks.shape[1:], bool)
    # COCO has house, tent and flower as stuff; a network that tells stuff apart has them as things, like a detector.
    sayable = COCO_THINGS if stuff else KNOWN
    things, regions = [], {}
    for label, score, mask in zip(found.labels, found.scores.tolist(), found.masks, strict=True):
        if label in stuff:
            regions.setdefault(label, []).append((score, mask))
            continue
        free = mask & ~taken
        if _enough(free, mask):
            taken |= free
            if label in sayable:
                things.append(Segment(label, extent(free), score, free))
    # `found` is in order of score, and so are the first pieces of each label.
    behind = []
    for label, pieces in regions.items():
        whole = np.logical_or.reduce([mask for _, mask in pieces])
        free = whole & ~taken
        if label in KNOWN and _enough(free, whole):
            taken |= free
            behind.append(Segment(label, extent(free), pieces[0][0], free))
    return things + behind


def _enough(free: np.ndarray, mask: np.ndarray) -> bool:
    left = np.count_nonzero(free)
    return left >= MIN_PIXELS and left >= MIN_SHARE * np.count_nonzero(mask)


class YoloSegmentation:
    """Segments from a YOLO network; only COCO panoptic classes are said."""

    name = "segmentation"

    def __init__(self, network: Yolo):
        self.network = network

    def prepare(self, pictures: Sequence[np.ndarray]) -> None:
        """Looks at several pictures at once."""
        self.network.batch(pictures)

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills `scene.segments` from (H, W, 3) uint8 RGB; raises ExpertUnavailable for a network without masks."""
        if not self.network.draws_masks:
            raise ExpertUnavailable(f"{self.network.source} draws boxes only; segmentation needs a network with -seg")
        scene.segments = panoptic(self.network(picture), self.network.stuff)
