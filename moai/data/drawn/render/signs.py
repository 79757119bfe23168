"""Plates with one line of text: fonts, colours, sizes and painting."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from moai.data.drawn.layout import Sign
from moai.data.drawn.render.geometry import fill, leaning, mapped, rectangle_corners, shares, turn
from perception.scene import Box

FONTS = (
    "DejaVuSans-Bold.ttf",
    "DejaVuSansCondensed-Bold.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSans.ttf",
    "RobotoSlab-Bold.otf",
    "RobotoCondensed-Bold.ttf",
    "ComicNeue-Bold.otf",
    "Intuitive.ttf",
    "BrushHand-Regular.otf",
)
"""`Sign.font` is an index into these, all in fonts/; from `PLAIN_FONTS` on they are condensed or as if by hand."""

PLAIN_FONTS = 6
NARROW_FONT = FONTS.index("DejaVuSansCondensed-Bold.ttf")
_CAPITALS = 0.729
"""Height of capitals in units of the font size."""

COLOURS = {
    "red": (205, 32, 38),
    "blue": (28, 84, 190),
    "green": (22, 130, 62),
    "yellow": (250, 210, 30),
    "orange": (240, 130, 20),
    "purple": (115, 45, 150),
    "brown": (112, 70, 36),
    "black": (22, 22, 24),
    "white": (246, 246, 244),
}
"""Plate and text colours by name, RGB."""

TEXT_COLOURS = {
    "red": ("white", "yellow"),
    "blue": ("white", "yellow"),
    "green": ("white", "yellow"),
    "yellow": ("black", "blue"),
    "orange": ("black", "white"),
    "purple": ("white", "yellow"),
    "brown": ("white", "yellow"),
    "black": ("white", "yellow"),
    "white": ("black", "blue", "red"),
}
"""Text colours that stand out on each plate colour, the likeliest first."""


def _at(index: int, size: float) -> ImageFont.FreeTypeFont:
    path = Path(__file__).parent / "fonts" / FONTS[index]
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=len(FONTS))
def _enlarged(index: int) -> float:
    """The factor that gives a font's capitals the common height."""
    return _CAPITALS * 256 / -_at(index, 256).getbbox("H", anchor="ls")[1]


@lru_cache(maxsize=512)
def font(index: int, half_points: int) -> ImageFont.FreeTypeFont:
    """The font at `half_points` / 2 pixels; capitals are equally high in all fonts."""
    return _at(index, half_points / 2 * _enlarged(index))


@lru_cache(maxsize=4096)
def _advance(text: str, index: int) -> float:
    """Width of the text in units of the font size."""
    return font(index, 128).getlength(text) / 64


def text_size(text: str, font_index: int, font_size: float) -> tuple[float, float]:
    """Width of the line and height of its capitals with room for descenders, in pixels."""
    return _advance(text, font_index) * font_size, font_size * 0.95


def plate_size(text: str, font_index: int, font_size: float) -> tuple[float, float]:
    """Width and height of the unturned plate in pixels: the line with a margin around it."""
    width, height = text_size(text, font_index, font_size)
    return width + font_size * 0.9, height + font_size * 0.55


def placing(sign: Sign, scale: float = 1.0) -> np.ndarray:
    """(3, 3) matrix from points around the middle of the plate as painted to pixels of the picture, both at `scale`."""
    turned = np.eye(3, dtype=np.float32)
    turned[:2, :2] = turn(sign.angle)
    turned[:2, 2] = sign.center[0] * scale, sign.center[1] * scale
    width, height = plate_size(sign.text, sign.font, sign.font_size)
    return turned @ leaning(sign.tilt, width * scale, height * scale)


def _corners(sign: Sign, size: tuple[float, float]) -> np.ndarray:
    return mapped(rectangle_corners(*size), placing(sign))


def _extent(corners: np.ndarray, width: int, height: int) -> Box:
    return shares(*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist(), width, height)


def sign_box(sign: Sign, width: int, height: int) -> Box:
    """The upright extent of the turned plate, in shares of the picture."""
    return _extent(_corners(sign, plate_size(sign.text, sign.font, sign.font_size)), width, height)


def line_box(sign: Sign, width: int, height: int) -> Box:
    """The upright extent of the turned line of text alone, in shares of the picture."""
    return _extent(_corners(sign, text_size(sign.text, sign.font, sign.font_size)), width, height)


def sign_mask(sign: Sign, width: int, height: int) -> np.ndarray:
    """The plate on the coarse grid of moai.data.drawn.render.geometry."""
    return fill([_corners(sign, plate_size(sign.text, sign.font, sign.font_size))], width, height)


def paint_plate(sign: Sign, scale: float) -> np.ndarray:
    """The unturned plate as (h, w, 4) uint8 RGBA with premultiplied alpha, at `scale`."""
    width, height = (max(2, round(side * scale)) for side in plate_size(sign.text, sign.font, sign.font_size))
    size = sign.font_size * scale
    plate = COLOURS[sign.colour]
    ink = tuple(round(p + sign.contrast * (i - p)) for p, i in zip(plate, COLOURS[sign.text_colour], strict=True))
    picture = Image.new("RGB", (width, height), plate)
    draw = ImageDraw.Draw(picture)
    line = max(1, round(size * 0.06))
    draw.rectangle((line, line, width - 1 - line, height - 1 - line), outline=ink, width=line)
    letters = font(sign.font, round(size * 2))
    draw.text((width / 2, height / 2 + size * 0.36), sign.text, fill=ink, font=letters, anchor="ms")
    return np.dstack([np.asarray(picture), np.full((height, width), 255, np.uint8)])
