"""What kinds of experts draw on: a picture with a fine transparent sheet over it."""

import math
import zlib
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from perception.scene import Box

MIN_SIDE = 800
"""Smaller pictures are enlarged to this longer side, so that labels can be read."""
MAX_LABEL = 200
"""Characters of a label that are drawn."""

_COLOURS = (
    (230, 57, 70), (29, 122, 196), (42, 157, 90), (244, 140, 6), (131, 56, 200), (0, 150, 160), (214, 51, 132),
    (140, 95, 40), (90, 115, 10), (61, 90, 254), (200, 80, 30), (0, 128, 96), (170, 30, 60), (100, 100, 180),
)  # fmt: skip
# Stuff in colours that nobody needs to look up.
_NATURAL = {
    "sky": (90, 170, 235), "grass": (70, 160, 60), "sea": (20, 110, 170), "river": (40, 130, 190),
    "water": (30, 120, 180), "road": (95, 95, 105), "pavement": (150, 145, 140), "sand": (222, 184, 110),
    "mountain": (130, 95, 70), "snow": (190, 215, 235), "tree": (30, 110, 50), "dirt": (140, 105, 70),
}  # fmt: skip
_FONT_SIZE = 15


def colour_of(label: str) -> tuple[int, int, int]:
    """The colour of a label, the same in every picture: (red, green, blue) in 0..255."""
    if label in _NATURAL:
        return _NATURAL[label]
    return _COLOURS[zlib.crc32(label.encode(errors="surrogatepass")) % len(_COLOURS)]


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # DejaVu knows Greek and Cyrillic too; matplotlib, which supervision needs, ships it.
    try:
        import matplotlib

        return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)
    except (ImportError, OSError):
        return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


class Canvas:
    """A picture and a transparent sheet, twice as fine for smooth lines, that remembers where labels stand.

    Positions are in pixels of the sheet (`pixels` turns a box in shares into them), colours (red, green, blue) in
    0..255, thicknesses in pixels of a picture with a longer side of 800. `layers` are those that are being drawn.
    """

    def __init__(self, picture: Image.Image, layers: Collection[str] = ()):
        factor = MIN_SIDE / max(picture.size)
        if factor > 1:
            picture = picture.resize(_scaled(picture.size, factor), Image.Resampling.BICUBIC)
        self.picture = picture
        self.layers = layers
        self.fine = 2 if max(picture.size) <= 2400 else 1
        self.width, self.height = picture.width * self.fine, picture.height * self.fine
        self.sheet = Image.new("RGBA", (self.width, self.height), (0, 0, 0, 0))
        self.pen = ImageDraw.Draw(self.sheet)
        self.unit = max(picture.size) / MIN_SIDE * self.fine
        self.font = _font(max(8, round(_FONT_SIZE * self.unit)))
        self._taken = np.zeros((64, 4))
        self._labels = 0

    def pixels(self, box: Box) -> tuple[float, float, float, float]:
        """A box in shares of the picture, in pixels of the sheet."""
        return box[0] * self.width, box[1] * self.height, box[2] * self.width, box[3] * self.height

    def tint(self, mask: np.ndarray, colour) -> None:
        """Colours the picture itself where a boolean mask over it, (H, W), is true, and outlines the mask."""
        small = cv2.resize(mask.astype(np.uint8), self.picture.size, interpolation=cv2.INTER_NEAREST)
        thickness = max(1, round(max(self.picture.size) / MIN_SIDE * 1.5))
        left, top, wide, high = cv2.boundingRect(small)
        if not wide:
            return
        # What the outline may reach, and no more: there may be hundreds of masks.
        rim = thickness + 4
        left, top, right, bottom = max(left - rim, 0), max(top - rim, 0), left + wide + rim, top + high + rim
        area = (left, top, min(right, self.picture.width), min(bottom, self.picture.height))
        small = np.ascontiguousarray(small[area[1] : area[3], area[0] : area[2]])
        pixels, chosen = np.asarray(self.picture.crop(area)).copy(), small.astype(bool)
        pixels[chosen] = (pixels[chosen] * 0.62 + np.array(colour, np.float32) * 0.38).astype(np.uint8)
        outlines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(pixels, outlines, -1, tuple(map(float, colour)), thickness, cv2.LINE_AA)
        self.picture.paste(Image.fromarray(pixels), area[:2])

    def inner_places(self, mask: np.ndarray) -> list[tuple[float, float]]:
        """Points well inside a boolean mask over the picture, the innermost first."""
        small = cv2.resize(mask.astype(np.uint8), (64, 64), interpolation=cv2.INTER_AREA)
        depth = cv2.distanceTransform(np.pad(small, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
        places = []
        for _ in range(4):
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            places.append(((float(x) + 0.5) / 64 * self.width, (float(y) + 0.5) / 64 * self.height))
            depth[max(0, y - 8) : y + 9, max(0, x - 8) : x + 9] = 0
        return places

    def frame(self, box, colour, thickness: float) -> None:
        """The outline of a box; thin rims, a light one and a dark one, keep any colour visible on any ground."""
        x1, y1, x2, y2 = box[0], box[1], max(box[2], box[0]), max(box[3], box[1])
        width, edge = max(1, round(thickness * self.unit)), max(1, round(self.unit))
        outer = (x1 - edge, y1 - edge, max(box[2] + edge, x1), max(box[3] + edge, y1))
        self.pen.rectangle(outer, outline=(255, 255, 255, 190), width=edge)
        self.pen.rectangle((x1, y1, x2, y2), outline=(0, 0, 0, 130), width=width + edge)
        self.pen.rectangle((x1, y1, x2, y2), outline=(*colour, 255), width=width)

    def label(self, text: str, colour, places: Sequence[tuple[float, float]], anchor: str = "corner") -> None:
        """A filled tag with text at the one of several places (its top left corner, or its "middle") that is freest."""
        text = text[:MAX_LABEL]
        left, top, right, bottom = self.pen.textbbox((0, 0), text, font=self.font)
        pad = 3 * self.unit
        width, height = right - left + 2 * pad, bottom - top + 2 * pad
        choices = []
        for order, (x, y) in enumerate(places):
            if anchor == "middle":
                x, y = x - width / 2, y - height / 2
            x = min(max(x, 0), max(self.width - width, 0))
            y = min(max(y, 0), max(self.height - height, 0))
            spot = (x, y, x + width, y + height)
            covered = round(self._covered(spot) / (width * height), 2)
            choices.append((covered, order, spot))
            if not covered:
                break
        spot = min(choices)[2]
        self._take(spot)
        self.pen.rounded_rectangle(spot, radius=3 * self.unit, fill=(*colour, 235))
        light = sum(share * value for share, value in zip((0.3, 0.59, 0.11), colour, strict=True)) > 150
        ink = (0, 0, 0, 255) if light else (255, 255, 255, 255)
        self.pen.text((spot[0] + pad - left, spot[1] + pad - top), text, font=self.font, fill=ink)

    def _covered(self, spot: tuple[float, float, float, float]) -> float:
        """Square pixels of a place that labels cover, each of them counted."""
        taken = self._taken[: self._labels]
        across = np.minimum(spot[2], taken[:, 2]) - np.maximum(spot[0], taken[:, 0])
        down = np.minimum(spot[3], taken[:, 3]) - np.maximum(spot[1], taken[:, 1])
        both = (across > 0) & (down > 0)
        return sum((across[both] * down[both]).tolist())

    def _take(self, spot: tuple[float, float, float, float]) -> None:
        if self._labels == len(self._taken):
            self._taken = np.concatenate([self._taken, np.zeros_like(self._taken)])
        self._taken[self._labels] = spot
        self._labels += 1

    def tag_height(self) -> float:
        """The height of a label."""
        return sum(self.font.getmetrics()) + 6 * self.unit

    def tag_width(self, text: str) -> float:
        """The width of a label with this text."""
        return self.pen.textlength(text[:MAX_LABEL], font=self.font) + 6 * self.unit

    def arrow(self, a: tuple[float, float], b: tuple[float, float], colour) -> None:
        """An arrow with a white rim from a dot at `a` to its tip at `b`."""
        unit = self.unit
        length = max(math.dist(a, b), 1e-6)
        dx, dy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
        head = min(11 * unit, length / 2)
        neck = (b[0] - dx * head, b[1] - dy * head)
        wings = [
            (neck[0] - dy * head * 0.5, neck[1] + dx * head * 0.5),
            (neck[0] + dy * head * 0.5, neck[1] - dx * head * 0.5),
        ]
        for shade, grow in (((255, 255, 255, 220), 1.5 * unit), ((*colour, 255), 0.0)):
            self.pen.line([a, neck], fill=shade, width=max(1, round(2.4 * unit + 2 * grow)))
            spread = 1 + 3 * grow / head if head else 1
            middle = ((b[0] + wings[0][0] + wings[1][0]) / 3, (b[1] + wings[0][1] + wings[1][1]) / 3)
            corners = [
                (middle[0] + (x - middle[0]) * spread, middle[1] + (y - middle[1]) * spread) for x, y in (b, *wings)
            ]
            self.pen.polygon(corners, fill=shade)
            dot = 4 * unit + grow
            self.pen.ellipse((a[0] - dot, a[1] - dot, a[0] + dot, a[1] + dot), fill=shade)

    def finished(self) -> Image.Image:
        """The picture with the sheet laid over it, as RGB."""
        sheet = self.sheet.resize(self.picture.size, Image.Resampling.BOX) if self.fine > 1 else self.sheet
        return Image.alpha_composite(self.picture.convert("RGBA"), sheet).convert("RGB")


def _scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
