"""Where turned sprites and plates lie on the canvas, without painting them. Pixels, y down, angles anticlockwise."""

from math import cos, radians, sin

import cv2
import numpy as np

from moai.data.drawn.layout import Layout, PlacedObject
from moai.data.drawn.render.atlas import Sprite, load_atlas
from perception.scene import Box

GRID = 4
"""Pixels a cell of the coarse masks that overlap is measured on."""


def turn(angle: float, flipped: bool = False) -> np.ndarray:
    """(2, 2) matrix for column vectors: mirror left-right if asked, then turn by `angle` degrees counter-clockwise."""
    c, s = cos(radians(angle)), sin(radians(angle))
    mirror = -1.0 if flipped else 1.0
    return np.array([[c * mirror, s], [-s * mirror, c]], np.float32)


def extents(sprite: Sprite, size: float, angle: float, flipped: bool) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of the turned sprite around its centre, in pixels."""
    points = sprite.hull @ (turn(angle, flipped).T * size)
    # The ufuncs themselves, as the methods cost twice as much on so few points.
    left, top = np.minimum.reduce(points).tolist()
    right, bottom = np.maximum.reduce(points).tolist()
    return left, top, right, bottom


def shares(left: float, top: float, right: float, bottom: float, width: int, height: int) -> Box:
    """Pixels to shares of the picture, cut off at its edges."""
    return (
        min(max(left / width, 0.0), 1.0),
        min(max(top / height, 0.0), 1.0),
        min(max(right / width, 0.0), 1.0),
        min(max(bottom / height, 0.0), 1.0),
    )


def leaning(tilt: tuple[float, float], width: float, height: float) -> np.ndarray:
    """(3, 3) matrix for points around the middle of a plate: what is said at `Sign.tilt`, for its size in pixels."""
    matrix = np.eye(3, dtype=np.float32)
    matrix[2, :2] = 2 * tilt[0] / width, 2 * tilt[1] / height
    return matrix


def rectangle_corners(width: float, height: float) -> np.ndarray:
    """(4, 2) corners of a rectangle around 0, in order."""
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * (width / 2, height / 2)


def mapped(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(K, 2) points through a (3, 3) matrix for column vectors."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return moved[:, :2] / moved[:, 2:]


def fill(polygons: list[np.ndarray], width: int, height: int) -> np.ndarray:
    """Boolean mask of (height / GRID, width / GRID) cells inside the polygons (pixels, (K, 2) each)."""
    grid = np.zeros((height // GRID, width // GRID), np.uint8)
    cv2.fillPoly(grid, [np.rint(points / GRID - 0.5).astype(np.int32) for points in polygons], 1)
    return grid.view(bool)


def coarse_mask(item: PlacedObject, width: int, height: int) -> np.ndarray:
    """The object's own pixels on the coarse grid, whatever covers it."""
    matrix = turn(item.angle, item.flipped).T * item.size
    center = np.asarray(item.center, np.float32)
    return fill([points @ matrix + center for points in load_atlas()[item.sprite].outlines], width, height)


def visible_shares(masks: list[np.ndarray], covers: list[np.ndarray]) -> list[float]:
    """The share of each mask left to see when masks are painted in order and `covers` on top of them; 0..1."""
    taken = np.zeros(masks[0].shape, bool) if masks else None
    for cover in covers:
        taken = cover if taken is None else taken | cover
    found = []
    for mask in reversed(masks):
        total = np.count_nonzero(mask)
        found.append(np.count_nonzero(mask & ~taken) / total if total else 0.0)
        taken = taken | mask
    return found[::-1]


def stuff_at(layout: Layout, x: float, y: float) -> int | None:
    """Index of the stuff painted last at a point (shares of the picture), or None."""
    for index in range(len(layout.stuff) - 1, -1, -1):
        inside = False
        polygon = layout.stuff[index].polygon
        for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                inside = not inside
        if inside:
            return index
    return None
