"""Boxes and masks: how they meet, and masks as run lengths."""

import numpy as np

from perception.scene import Box


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
