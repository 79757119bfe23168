"""A picture with what the experts saw drawn on it."""

import math
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from perception.images import load_image
from perception.scene import Box, Scene
from perception.verbalize import (
    DETECTION_THRESHOLD,
    MAX_RELATIONS,
    OCR_THRESHOLD,
    RELATION_THRESHOLD,
    SEGMENT_THRESHOLD,
    numbered,
    plain_label,
)

LAYERS = ("segments", "detections", "relations", "text")
MIN_SIDE = 800
"""Smaller pictures are enlarged to this longer side, so that labels can be read."""

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
_TEXT_COLOUR, _RELATION_COLOUR = (255, 214, 10), (20, 24, 40)
_FONT_SIZE = 15


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # DejaVu knows Greek and Cyrillic too; matplotlib, which ultralytics needs, ships it.
    try:
        import matplotlib

        return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)
    except (ImportError, OSError):
        return ImageFont.load_default(size)


def colour_of(label: str) -> tuple[int, int, int]:
    """The colour of a label, the same in every picture: (red, green, blue) in 0..255."""
    if label in _NATURAL:
        return _NATURAL[label]
    return _COLOURS[zlib.crc32(label.encode()) % len(_COLOURS)]


class _Canvas:
    """A transparent sheet, twice as fine as the picture for smooth lines, that remembers where labels stand."""

    def __init__(self, picture: Image.Image):
        self.picture = picture
        self.fine = 2 if max(picture.size) <= 2400 else 1
        self.width, self.height = picture.width * self.fine, picture.height * self.fine
        self.sheet = Image.new("RGBA", (self.width, self.height), (0, 0, 0, 0))
        self.pen = ImageDraw.Draw(self.sheet)
        self.unit = max(picture.size) / MIN_SIDE * self.fine
        self.font = _font(max(8, round(_FONT_SIZE * self.unit)))
        self.labels: list[tuple[float, float, float, float]] = []

    def pixels(self, box: Box) -> tuple[float, float, float, float]:
        return box[0] * self.width, box[1] * self.height, box[2] * self.width, box[3] * self.height

    def frame(self, box, colour, thickness: float, dark: bool = True) -> None:
        width = max(1, round(thickness * self.unit))
        edge = max(1, round(self.unit))
        if dark:  # a thin dark rim keeps any colour visible on any ground
            outer = (box[0] - edge, box[1] - edge, max(box[2] + edge, box[0]), max(box[3] + edge, box[1]))
            self.pen.rectangle(outer, outline=(0, 0, 0, 130), width=width + 2 * edge)
        self.pen.rectangle(
            (box[0], box[1], max(box[2], box[0]), max(box[3], box[1])), outline=(*colour, 255), width=width
        )

    def label(self, text: str, colour, places: Sequence[tuple[float, float]], anchor: str = "corner") -> None:
        """A filled tag with text at the one of several places (its top left corner, or its middle) that is freest."""
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
            covered = sum(_common(spot, other) for other in self.labels) / (width * height)
            choices.append((round(covered, 2), order, spot))
        spot = min(choices)[2]
        self.labels.append(spot)
        self.pen.rounded_rectangle(spot, radius=3 * self.unit, fill=(*colour, 235))
        light = sum(share * value for share, value in zip((0.3, 0.59, 0.11), colour, strict=True)) > 150
        ink = (0, 0, 0, 255) if light else (255, 255, 255, 255)
        self.pen.text((spot[0] + pad - left, spot[1] + pad - top), text, font=self.font, fill=ink)

    def tag_height(self) -> float:
        return sum(self.font.getmetrics()) + 6 * self.unit

    def finished(self) -> Image.Image:
        sheet = self.sheet.resize(self.picture.size, Image.Resampling.BOX) if self.fine > 1 else self.sheet
        return Image.alpha_composite(self.picture.convert("RGBA"), sheet).convert("RGB")


def _common(a, b) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def draw(picture, scene: Scene, layers: Sequence[str] = LAYERS) -> Image.Image:
    """The picture (anything `load_image` takes) with the chosen layers of its scene drawn on it, as an RGB picture.

    `layers`: any of "segments" (translucent masks), "detections" (boxes with labels), "relations" (arrows with
    predicates) and "text" (outlined lines). What verbalisation leaves out for a low score is left out here too.
    Pictures of less than 800 pixels are enlarged. Raises ValueError for an unknown layer.
    """
    for layer in layers:
        if layer not in LAYERS:
            raise ValueError(f"unknown layer {layer!r}; allowed are {', '.join(LAYERS)}")
    image = load_image(picture)
    factor = MIN_SIDE / max(image.size)
    if factor > 1:
        image = image.resize([max(1, round(side * factor)) for side in image.size], Image.Resampling.BICUBIC)
    if "segments" in layers:
        image = _with_masks(image, scene)
    canvas = _Canvas(image)
    if "segments" in layers:
        _label_segments(canvas, scene, "detections" in layers)
    if "detections" in layers:
        _draw_detections(canvas, scene)
    if "text" in layers:
        _draw_text(canvas, scene)
    if "relations" in layers:
        _draw_relations(canvas, scene)
    return canvas.finished()


def _with_masks(image: Image.Image, scene: Scene) -> Image.Image:
    pixels = np.asarray(image).copy()
    thickness = max(1, round(max(image.size) / MIN_SIDE * 1.5))
    for segment in scene.segments:
        if segment.mask is None or segment.score < SEGMENT_THRESHOLD:
            continue
        mask = cv2.resize(segment.mask.astype(np.uint8), image.size, interpolation=cv2.INTER_NEAREST)
        chosen = mask.astype(bool)
        colour = np.array(colour_of(plain_label(segment.label)), np.float32)
        pixels[chosen] = (pixels[chosen] * 0.62 + colour * 0.38).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(pixels, outlines, -1, colour.tolist(), thickness, cv2.LINE_AA)
    return Image.fromarray(pixels)


def _label_segments(canvas: _Canvas, scene: Scene, boxes_follow: bool) -> None:
    detected = {detection.label for detection in scene.detections} if boxes_follow else set()
    for segment in scene.segments:
        label = plain_label(segment.label)
        if segment.score < SEGMENT_THRESHOLD or label in detected:
            continue
        x1, y1, x2, y2 = canvas.pixels(segment.box)
        places = [((x1 + x2) / 2, (y1 + y2) / 2), ((x1 + x2) / 2, y1), ((x1 + x2) / 2, y2), (x1, y1), (x2, y2)]
        if segment.mask is not None and segment.mask.any():
            places = _inner_places(canvas, segment.mask) + places
        canvas.label(label, colour_of(label), places, "middle")


def _inner_places(canvas: _Canvas, mask: np.ndarray) -> list[tuple[float, float]]:
    """Points well inside a mask, the innermost first."""
    small = cv2.resize(mask.astype(np.uint8), (64, 64), interpolation=cv2.INTER_AREA)
    depth = cv2.distanceTransform(np.pad(small, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    places = []
    for _ in range(4):
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        places.append(((x + 0.5) / 64 * canvas.width, (y + 0.5) / 64 * canvas.height))
        depth[max(0, y - 8) : y + 9, max(0, x - 8) : x + 9] = 0
    return places


def _draw_detections(canvas: _Canvas, scene: Scene) -> None:
    kept = [one for one in scene.detections if one.score >= DETECTION_THRESHOLD]
    for one in kept:
        canvas.frame(canvas.pixels(one.box), colour_of(one.label), 2.5)
    high = canvas.tag_height()
    for one in kept:
        x1, y1, x2, y2 = canvas.pixels(one.box)
        text = f"{one.label} {one.score:.0%}"
        wide = canvas.pen.textlength(text, font=canvas.font) + 6 * canvas.unit
        places = [
            (x1, y1 - high),
            (x1, y1),
            (x2 - wide, y1 - high),
            (x1, y2),
            (x2 - wide, y2),
            (x1, y2 - high),
            (x2, y1),
        ]
        canvas.label(text, colour_of(one.label), places)


def _draw_text(canvas: _Canvas, scene: Scene) -> None:
    high = canvas.tag_height()
    for line in scene.text_lines:
        if line.box is None or line.score < OCR_THRESHOLD:
            continue
        x1, y1, x2, y2 = canvas.pixels(line.box)
        canvas.frame((x1, y1, x2, y2), _TEXT_COLOUR, 2)
        if len(line.text) <= 24:  # the words of a page are on the page already, and tags would hide them
            canvas.label(f"“{line.text}”", _TEXT_COLOUR, [(x1, y2), (x1, y1 - high), (x2, y1), (x1, y2 + high)])


def _draw_relations(canvas: _Canvas, scene: Scene) -> None:
    if len(scene.object_boxes) != len(scene.objects):
        return
    names = numbered(scene.objects)
    best = sorted(scene.relations, key=lambda one: -one.score)[:MAX_RELATIONS]
    for one in best:
        if one.score < RELATION_THRESHOLD:
            continue
        start, end = (canvas.pixels(scene.object_boxes[index]) for index in (one.subject, one.object))
        a, b = _arrow_ends(start, end)
        _arrow(canvas, a, b)
        places = [(a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share) for share in (0.5, 0.3, 0.7, 0.1, 0.9)]
        x, y = places[0]
        places += [(x, y + step * canvas.tag_height()) for step in (1, -1, 2, -2)]
        long = math.dist(a, b) > 6 * canvas.tag_height()
        # An arrow between neighbours is too short to show what it joins.
        text = one.predicate if long else f"{names[one.subject]} {one.predicate} {names[one.object]}"
        canvas.label(text, _RELATION_COLOUR, places, "middle")


def _arrow_ends(a, b) -> tuple[tuple[float, float], tuple[float, float]]:
    """From the middle of one box towards the other's: where stuff surrounds a thing, to the nearest side of it."""
    start = ((a[0] + a[2]) / 2, (a[1] + a[3]) / 2)
    end = ((b[0] + b[2]) / 2, (b[1] + b[3]) / 2)
    if (b[2] - b[0]) * (b[3] - b[1]) > 4 * (a[2] - a[0]) * (a[3] - a[1]):
        end = (min(max(start[0], b[0]), b[2]), min(max(a[3] + 0.25 * (a[3] - a[1]), b[1]), b[3]))
    return start, end


def _arrow(canvas: _Canvas, a: tuple[float, float], b: tuple[float, float]) -> None:
    unit = canvas.unit
    length = max(math.dist(a, b), 1e-6)
    dx, dy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    head = min(11 * unit, length / 2)
    neck = (b[0] - dx * head, b[1] - dy * head)
    wings = [
        (neck[0] - dy * head * 0.5, neck[1] + dx * head * 0.5),
        (neck[0] + dy * head * 0.5, neck[1] - dx * head * 0.5),
    ]
    for colour, grow in (((255, 255, 255, 220), 1.5 * unit), ((*_RELATION_COLOUR, 255), 0.0)):
        canvas.pen.line([a, neck], fill=colour, width=max(1, round(2.4 * unit + 2 * grow)))
        spread = 1 + 3 * grow / head if head else 1
        middle = ((b[0] + wings[0][0] + wings[1][0]) / 3, (b[1] + wings[0][1] + wings[1][1]) / 3)
        corners = [(middle[0] + (x - middle[0]) * spread, middle[1] + (y - middle[1]) * spread) for x, y in (b, *wings)]
        canvas.pen.polygon(corners, fill=colour)
        canvas.pen.ellipse(
            (a[0] - 4 * unit - grow, a[1] - 4 * unit - grow, a[0] + 4 * unit + grow, a[1] + 4 * unit + grow),
            fill=colour,
        )
