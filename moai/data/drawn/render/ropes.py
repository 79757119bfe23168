"""How a rope between two things is painted."""

import cv2
import numpy as np

from moai.data.drawn.layout import Layout, PlacedObject, Rope
from moai.data.places import middle

WIDTH = 1.0
"""Pixels across, on the canvas."""
_SHIFT = 4


def rope_end(item: PlacedObject, layout: Layout) -> np.ndarray:
    """Where a rope is tied to an object: the middle of its box, (x, y) in pixels of the canvas."""
    return np.array(middle(item.box)) * (layout.width, layout.height)


def paint_rope(picture: np.ndarray, layout: Layout, rope: Rope, scale: float) -> None:
    """Draws a rope into an (H, W, 3) uint8 picture that is `scale` times the canvas."""
    start, end = (rope_end(layout.objects[index], layout) * scale for index in (rope.subject, rope.object))
    # What is thinner than a pixel is drawn paler.
    width = WIDTH * scale
    low = np.floor(np.minimum(start, end)).astype(int) - 2
    high = np.ceil(np.maximum(start, end)).astype(int) + 3
    x0, y0 = np.maximum(low, 0)
    x1, y1 = np.minimum(high, (picture.shape[1], picture.shape[0]))
    if x1 <= x0 or y1 <= y0:
        return
    area = picture[y0:y1, x0:x1]
    line = np.zeros(area.shape[:2], np.uint8)
    ends = [tuple(np.rint((point - (x0, y0) - 0.5) * 2**_SHIFT).astype(int).tolist()) for point in (start, end)]
    cv2.line(line, *ends, 255, max(1, round(width)), cv2.LINE_AA, _SHIFT)
    alpha = (line.astype(np.float32) / 255 * min(1.0, width))[..., None]
    area[:] = np.rint(area * (1 - alpha) + np.array(rope.colour, np.float32) * alpha).astype(np.uint8)
