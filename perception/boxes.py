"""Boxes and masks: how they meet and lie, and masks as run lengths."""

import numpy as np

from perception.scene import Box

OVERLAP = 0.25
"""Most that boxes may overlap along the axis of their relation, as a share of the shorter side."""
SURE = 0.8
"""Score of the least certain relation: verbalisation says all of them."""


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N, 4) with boxes (M, 4), x1 y1 x2 y2: (N, M) in 0..1."""
    from supervision import box_iou_batch

    return box_iou_batch(a, b)


def extent(mask: np.ndarray) -> Box | None:
    """The box of a boolean (H, W) mask in shares of the picture, right and bottom exclusive; None when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    height, width = mask.shape
    left, right = float(columns[0] / width), float((columns[-1] + 1) / width)
    return left, float(rows[0] / height), right, float((rows[-1] + 1) / height)


def mask_to_rle(mask: np.ndarray) -> dict:
    """A boolean (H, W) mask as COCO's uncompressed run lengths: `size` [H, W], and `counts` of false, true, false, ...
    pixels down the columns."""
    from supervision import mask_to_rle

    counts = mask_to_rle(mask.astype(bool)) if mask.size else []
    return {"size": list(mask.shape), "counts": [int(count) for count in counts]}


def rle_to_mask(rle: dict) -> np.ndarray:
    """The mask of COCO's run lengths, uncompressed or compressed; raises ValueError when they do not fill its size."""
    from supervision import rle_to_mask

    height, width = rle["size"]
    return rle_to_mask(rle["counts"], (width, height)) if height and width else np.zeros((height, width), bool)


def side_of(box: Box, other: Box, width: int, height: int) -> tuple[str, float] | None:
    """On which side of the other box a box is, and how surely (SURE..1); None when it is on none. `width` and `height`
    of the picture in pixels."""
    size = np.array([width, height], float)
    low, high, other_low, other_high = (np.array(corner) * size for corner in (box[:2], box[2:], other[:2], other[2:]))
    away = (other_low + other_high - low - high) / 2
    axis = int(abs(away[1]) > abs(away[0]))
    overlap = min(high[axis], other_high[axis]) - max(low[axis], other_low[axis])
    shorter = min(high[axis] - low[axis], other_high[axis] - other_low[axis])
    if not away[axis] or overlap > OVERLAP * shorter:
        return None
    names = (("left of", "right of"), ("above", "below"))[axis]
    certain = 1 - abs(away[1 - axis]) / abs(away[axis])
    return names[int(away[axis] < 0)], float(SURE + (1 - SURE) * certain)
