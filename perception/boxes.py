"""Boxes and masks, and how they meet."""

import numpy as np

from perception.scene import Box


def iou(a, b) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2); 0 when they do not meet."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    common = across * down
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def extent(mask: np.ndarray) -> Box | None:
    """The box of a boolean (H, W) mask in shares of the picture, right and bottom exclusive; None when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    height, width = mask.shape
    left, right = float(columns[0] / width), float((columns[-1] + 1) / width)
    return left, float(rows[0] / height), right, float((rows[-1] + 1) / height)
