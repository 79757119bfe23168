"""Segmentation and detection by YOLO networks. Experts of the same weights share one network."""

from typing import cast

import numpy as np

from perception.backends.backend import ONOFF, Backend, Option
from perception.boxes import extent
from perception.builder import Builder
from perception.expert import ExpertUnavailable, NetworkExpert
from perception.labels import COCO_PANOPTIC_CLASSES
from perception.networks.network import Found
from perception.networks.yolo import Yolo
from perception.scene import Box, Detection, Scene, Segment
from perception.words import plain_label

KNOWN = frozenset(COCO_PANOPTIC_CLASSES) | frozenset(plain_label(name) for name in COCO_PANOPTIC_CLASSES)
COCO_THINGS = frozenset(COCO_PANOPTIC_CLASSES[:80])
MIN_SHARE = 0.25
"""A segment of whose mask less than this share is left after surer ones took theirs is dropped."""
MIN_PIXELS = 12


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
    things: list[Segment] = []
    regions: dict[str, list[tuple[float, np.ndarray]]] = {}
    for label, score, mask in zip(found.labels, found.scores.tolist(), found.masks, strict=True):
        if label in stuff:
            regions.setdefault(label, []).append((score, mask))
            continue
        free = mask & ~taken
        if _enough(free, mask):
            taken |= free
            if label in sayable:
                things.append(_segment(label, score, free))
    # `found` is in order of score, and so are the first pieces of each label.
    behind = []
    for label, pieces in regions.items():
        whole = np.logical_or.reduce([mask for _, mask in pieces])
        free = whole & ~taken
        if label in KNOWN and _enough(free, whole):
            taken |= free
            behind.append(_segment(label, pieces[0][0], free))
    return things + behind


def _segment(label: str, score: float, mask: np.ndarray) -> Segment:
    return Segment(label, cast(Box, extent(mask)), score, mask)  # never empty, since enough of it is left


def _enough(free: np.ndarray, mask: np.ndarray) -> bool:
    left = int(np.count_nonzero(free))
    return left >= MIN_PIXELS and left >= MIN_SHARE * int(np.count_nonzero(mask))


class YoloSegmentation(NetworkExpert):
    """Segments from a YOLO network; only COCO panoptic classes are said."""

    def fill(self, found: Found, scene: Scene) -> None:
        """Fills `scene.segments`; raises ExpertUnavailable for a network without masks."""
        if not self.network.draws_masks:
            raise ExpertUnavailable(f"{self.network.source} draws boxes only; segmentation needs a network with -seg")
        scene.segments = panoptic(found, self.network.stuff)


class YoloDetection(NetworkExpert):
    """Every thing class that a YOLO network knows, surest first; stuff is left to segmentation."""

    def fill(self, found: Found, scene: Scene) -> None:
        """Fills `scene.detections`."""
        scene.detections = [
            Detection(label, tuple(box), score)
            for label, box, score in zip(found.labels, found.boxes.tolist(), found.scores.tolist(), strict=True)
            if label not in self.network.stuff
        ]


def build(kind: str, weights: str, builder: Builder, **options) -> NetworkExpert:
    """The expert of a kind, from a folder of ours or ultralytics weights."""
    key = ("yolo", weights, *sorted(options.items()))
    network = builder.shared(key, lambda: Yolo(weights, device=builder.device, **options))
    return YoloSegmentation(network) if kind == "segmentation" else YoloDetection(network)


BACKEND = Backend(
    name="yolo",
    kinds=("segmentation", "detection"),
    build=build,
    weights="a folder of a network trained here, or the path or name of ultralytics weights such as yolo11n-seg.pt",
    options={"imgsz": Option(int, 32, 4096), "threshold": Option(float, 0.001, 1.0), "trust_pickle": ONOFF},
)
