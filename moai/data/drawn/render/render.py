"""Paints a layout: the picture under its conditions, and which object and which stuff every pixel shows."""

from dataclasses import dataclass

import cv2
import numpy as np

from moai.data.drawn.layout import Layout, PlacedObject, Sign
from moai.data.drawn.render.atlas import CELL, UNIT, load_atlas
from moai.data.drawn.render.backgrounds import paint_background
from moai.data.drawn.render.conditions import darkened, taken
from moai.data.drawn.render.geometry import mapped, rectangle_corners, turn
from moai.data.drawn.render.ropes import paint_rope
from moai.data.drawn.render.signs import paint_plate, placing

NO_OBJECT = -1


@dataclass
class Drawn:
    """A painted layout of H x W pixels.

    `image` (H, W, 3) uint8 RGB. `instances` (H, W) int16: index of the topmost object, -1 for none, -2 - k for sign k.
    `stuff` (H, W) uint8: index into `layout.stuff` of the backdrop at the pixel, also where an object covers it.
    """

    image: np.ndarray
    instances: np.ndarray
    stuff: np.ndarray


def render(layout: Layout, scale: float = 1.0) -> Drawn:
    """Paints the layout at `scale` times its canvas (0.1 to 4; the atlas is sharp up to about 1).

    The same layout and scale give the same pixels. Raises ValueError for a scale out of range.
    """
    if not 0.1 <= scale <= 4:
        raise ValueError(f"scale must be within 0.1..4, got {scale}")
    width, height = round(layout.width * scale), round(layout.height * scale)
    rng = np.random.default_rng((layout.seed, 0x5CE7E))
    picture, stuff = paint_background(layout, height, width, rng)
    instances = np.full((height, width), NO_OBJECT, np.int16)
    for rope in layout.ropes:
        paint_rope(picture, layout, rope, scale)
    for number, item in enumerate(layout.objects):
        _paint_object(picture, instances, item, number, scale)
    picture = darkened(picture, layout.conditions.night)
    for number, sign in enumerate(layout.signs):
        _paint_sign(picture, instances, sign, -2 - number, scale)
    return Drawn(taken(picture, layout.conditions, scale, rng), instances, stuff)


def _paint_object(picture: np.ndarray, instances: np.ndarray, item: PlacedObject, number: int, scale: float) -> None:
    sprite = load_atlas()[item.sprite]
    size = item.size * scale
    level = 0
    while level + 1 < len(sprite.levels) and size * 2 ** (level + 1) <= UNIT * 1.2:
        level += 1
    pixels = sprite.levels[level]
    if abs(item.brightness - 1) > 1e-3:
        gain = item.brightness
        alpha = pixels[..., 3:]
        pixels = cv2.multiply(pixels, (gain, gain, gain, 1.0))
        if gain > 1:
            np.minimum(pixels, alpha, out=pixels)
    matrix = turn(item.angle, item.flipped) * (size * 2**level / UNIT)
    _paint(picture, instances, pixels, matrix, (item.center[0] * scale, item.center[1] * scale), number)


def _paint_sign(picture: np.ndarray, instances: np.ndarray, sign: Sign, number: int, scale: float) -> None:
    plate = paint_plate(sign, scale)
    height, width = plate.shape[:2]
    if sign.tilt == (0.0, 0.0):
        center = sign.center[0] * scale, sign.center[1] * scale
        if sign.angle == 0:
            # Whole pixels: letters are not blurred by a shift of half a pixel.
            center = round(center[0] - width / 2) + width / 2, round(center[1] - height / 2) + height / 2
        _paint(picture, instances, plate, turn(sign.angle), center, number)
        return
    matrix = placing(sign, scale)
    area = _area(picture, mapped(rectangle_corners(width, height), matrix))
    if area is None:
        return
    full = _shift(-0.5 - area[1].start, -0.5 - area[0].start) @ matrix @ _shift(0.5 - width / 2, 0.5 - height / 2)
    size = area[1].stop - area[1].start, area[0].stop - area[0].start
    warped = cv2.warpPerspective(plate, full, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    _blend(picture, instances, warped, area, number)


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _area(picture: np.ndarray, corners: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the picture that hold the corners, or None when they are outside."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    x0, y0 = max(0, int(low[0]) - 1), max(0, int(low[1]) - 1)
    x1, y1 = min(picture.shape[1], int(high[0]) + 2), min(picture.shape[0], int(high[1]) + 2)
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def _paint(
    picture: np.ndarray, instances: np.ndarray, pixels: np.ndarray, matrix: np.ndarray, center: tuple, number: int
) -> None:
    """Blends premultiplied RGBA `pixels`, mapped by `matrix` around their middle to `center`, into the picture."""
    height, width = pixels.shape[:2]
    reach = np.abs(matrix) @ np.array([width / 2, height / 2])
    area = _area(picture, np.array([center - reach, center + reach]))
    if area is None:
        return
    y0, x0 = area[0].start, area[1].start
    # Pixel k of either picture has its centre at k + 0.5.
    origin = np.array([0.5 - width / 2, 0.5 - height / 2])
    shift = matrix @ origin + (center[0] - 0.5 - x0, center[1] - 0.5 - y0)
    affine = np.column_stack([matrix, shift])
    size = area[1].stop - x0, area[0].stop - y0
    warped = cv2.warpAffine(pixels, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    _blend(picture, instances, warped, area, number)


def _blend(
    picture: np.ndarray, instances: np.ndarray, warped: np.ndarray, area: tuple[slice, slice], number: int
) -> None:
    alpha = cv2.extractChannel(warped, 3)
    rest = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2RGB)
    under = cv2.multiply(picture[area], rest, scale=1 / 255)
    picture[area] = cv2.add(under, cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB))
    instances[area][alpha >= CELL] = number
