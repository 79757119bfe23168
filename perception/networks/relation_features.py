"""What the relation head sees: for each object a thumbnail, for each ordered pair geometry, contact of masks and what
runs from one to the other."""

from dataclasses import dataclass

import cv2
import numpy as np

GRID = 48
"""Cells along each side of the grid on which masks meet."""
THUMB = 12
"""Pixels along each side of an object's thumbnail."""
THUMB_VALUES = THUMB * THUMB * 4
STRIP = 17, 24
"""Pixels across and along the strip of picture between the middles of two objects."""
STRIP_SIDE = 384
"""Pixels of the longer side of the picture that strips are cut from; across, they are cut pixel by pixel."""
STRIP_REACH = 0.65
"""Share of the longer side that middles are apart at most for a strip between them to be looked at."""
_MAX_CELLS = GRID // 3


@dataclass
class Nodes:
    """The N objects of one picture. `labels` names; `boxes` (N, 4) shares; `grids` (N, GRID, GRID) float32 0..1, the
    share of each cell that the mask covers; `thumbs` (N, THUMB_VALUES) uint8, silhouette then RGB within the box."""

    labels: list[str]
    boxes: np.ndarray
    grids: np.ndarray
    thumbs: np.ndarray


def mask_grid(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool -> (GRID, GRID) float32 coverage."""
    return cv2.resize(mask.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)


def box_grid(box) -> np.ndarray:
    """A box in shares as a (GRID, GRID) float32 mask."""
    grid = np.zeros((GRID, GRID), np.float32)
    x1, y1, x2, y2 = (round(edge * GRID) for edge in box)
    grid[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)] = 1
    return grid


def thumbnail(picture: np.ndarray, mask: np.ndarray | None, box) -> np.ndarray:
    """(THUMB_VALUES,) uint8: what is inside a box of an (H, W, 3) uint8 picture, cut out by its (H, W) bool mask."""
    height, width = picture.shape[:2]
    x1, y1 = min(int(box[0] * width), width - 1), min(int(box[1] * height), height - 1)
    x2, y2 = max(round(box[2] * width), x1 + 1), max(round(box[3] * height), y1 + 1)
    small = cv2.resize(picture[y1:y2, x1:x2], (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    shape: np.ndarray
    if mask is None:
        shape = np.full((THUMB, THUMB), 255, np.uint8)
    else:
        cut = mask[y1:y2, x1:x2].astype(np.uint8) * 255
        shape = cv2.resize(cut, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
        small = cv2.multiply(small, cv2.merge([shape] * 3), scale=1 / 255)
    return np.concatenate([shape.ravel(), small.ravel()])


def strip_image(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> grey uint8 with a longer side of STRIP_SIDE, to cut strips from."""
    scale = STRIP_SIDE / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return grey if size == grey.shape[::-1] else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def strips(grey: np.ndarray, boxes: np.ndarray, things: int) -> tuple[np.ndarray, np.ndarray]:
    """What a `strip_image` shows between the middles of every two of the first `things` objects that are near enough.

    boxes (N, 4) in shares. Returns the strips (S, *STRIP) uint8 and, for each ordered pair, the number of its strip
    (N, N) int64, -1 for none; both orders share one.
    """
    height, width = grey.shape
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2 * (width, height)
    across, along = STRIP
    cut, number = [], np.full((len(boxes), len(boxes)), -1, np.int64)
    for i in range(things):
        for j in range(i + 1, things):
            way = middles[j] - middles[i]
            length = float(np.hypot(*way))
            if not 1 < length <= STRIP_REACH * max(width, height):
                continue
            ahead, aside = way / (along - 1), np.array([-way[1], way[0]]) / length
            start = middles[i] - aside * (across - 1) / 2
            matrix = np.column_stack([ahead, aside, start - 0.5])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            cut.append(cv2.warpAffine(grey, matrix, (along, across), flags=flags, borderMode=cv2.BORDER_REPLICATE))
            number[i, j] = number[j, i] = len(cut) - 1
    return (np.stack(cut) if cut else np.zeros((0, *STRIP), np.uint8)), number


def pair_features(boxes: np.ndarray, grids: np.ndarray, width: int, height: int) -> np.ndarray:
    """Features of every ordered pair (subject i, object j): (N, N, F) float32, clipped to -4..4.

    boxes (N, 4) in shares, grids (N, GRID, GRID) coverage, size of the picture in pixels (only its shape counts).
    """
    longer = max(width, height)
    corners = boxes * (np.array([width, height, width, height]) / longer)
    x1, y1, x2, y2 = corners.T
    w, h = np.maximum(x2 - x1, 1e-3), np.maximum(y2 - y1, 1e-3)
    cx, cy, area = (x1 + x2) / 2, (y1 + y2) / 2, w * h

    def s(values: np.ndarray) -> np.ndarray:
        return values[:, None]

    def o(values: np.ndarray) -> np.ndarray:
        return values[None, :]

    across = np.minimum(s(x2), o(x2)) - np.maximum(s(x1), o(x1))
    down = np.minimum(s(y2), o(y2)) - np.maximum(s(y1), o(y1))
    common = np.maximum(across, 0) * np.maximum(down, 0)
    least_w, least_h = np.minimum(s(w), o(w)), np.minimum(s(h), o(h))
    parts = [
        o(cx) - s(cx), o(cy) - s(cy), (o(cx) - s(cx)) / (s(w) + o(w)), (o(cy) - s(cy)) / (s(h) + o(h)),
        across, down, across / least_w, down / least_h, common / s(area), common / o(area),
        common / (s(area) + o(area) - common), np.log(s(w) / o(w)), np.log(s(h) / o(h)), np.log(s(area) / o(area)),
        (s(y2) - o(y1)) / o(h), (s(y2) - o(y2)) / o(h), (s(y1) - o(y1)) / o(h), (s(y2) - o(y2)) / s(h),
        (s(cx) - o(x1)) / o(w), (s(y2) - o(y1)), (s(y2) - o(y2)), (o(cy) - s(y1)) / s(h), (o(cx) - s(cx)) / s(w),
        s(x1), s(y1), s(x2), s(y2), o(x1), o(y1), o(x2), o(y2), s(w / h), o(w / h),
    ]  # fmt: skip
    count = len(boxes)
    geometry = np.stack([np.broadcast_to(part, (count, count)) for part in parts], axis=-1)
    features = np.concatenate([geometry, _contact(boxes, grids)], axis=-1)
    return np.clip(features, -4, 4).astype(np.float32)


def _contact(boxes: np.ndarray, grids: np.ndarray) -> np.ndarray:
    """(N, N, 11): how much the masks touch, hide and hold each other, and what lies beneath the subject."""
    count = len(grids)
    masks = (grids > 0.35).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    near = np.stack([cv2.dilate(mask, kernel) for mask in masks]) if count else masks
    far = np.stack([cv2.dilate(mask, kernel, iterations=2) for mask in near]) if count else masks
    inside, feet, below = (np.zeros_like(masks) for _ in range(3))
    for index, box in enumerate(boxes):
        left, top, right, bottom = (round(edge * GRID) for edge in box)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        inside[index, top:bottom, left:right] = 1
        feet[index, max(bottom - 2, top) : bottom + 1, left:right] = 1
        middle = (left + right) // 2
        below[index, bottom : bottom + _MAX_CELLS, max(middle - 1, 0) : middle + 1] = 1
    ring = far * (1 - masks)
    feet = feet * (1 - masks)
    flat = {
        name: value.reshape(count, GRID * GRID).astype(np.float32)
        for name, value in {"m": masks, "n": near, "i": inside, "r": ring, "f": feet, "b": below}.items()
    }
    size = {name: np.maximum(value.sum(axis=1), 1) for name, value in flat.items()}

    def met(subject: str, other: str) -> np.ndarray:
        return flat[subject] @ flat[other].T

    touching = met("n", "m")
    fill = np.broadcast_to(size["m"] / size["i"], (count, count))
    parts = [
        touching / size["m"][:, None], touching / size["m"][None],
        met("n", "n") / np.minimum.outer(size["n"], size["n"]),
        met("m", "i") / size["m"][:, None], met("i", "m") / size["m"][None], met("i", "m") / size["i"][:, None],
        met("r", "m") / size["r"][:, None], met("f", "m") / size["f"][:, None], met("b", "m") / size["b"][:, None],
        fill.T, fill,
    ]  # fmt: skip
    return np.stack(parts, axis=-1)


FEATURES = pair_features(np.zeros((1, 4)), np.zeros((1, GRID, GRID), np.float32), 1, 1).shape[-1]
"""F, the number of features of a pair."""
