"""The shipped sprite atlas: Noto Color Emoji drawings as premultiplied RGBA, with outlines for quick exact boxes."""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from moai.data.drawn.catalog import COCO_THINGS, STUFF_LABELS, THING_LABELS
from moai.data.nouns import plural

__all__ = ["CELL", "COCO_THINGS", "STUFF_LABELS", "THING_LABELS", "Sprite", "load_atlas", "plural", "sprites_of"]

FOLDER = Path(__file__).with_suffix("")
CELL = 128
COLUMNS = 8
UNIT = CELL - 2
"""Pixels of a cell that one unit of size covers: the longer side of what is drawn."""


@dataclass(frozen=True, eq=False)
class Sprite:
    """One drawing of a class.

    `pose` is stand, walk, run, bust, body, face, fly or "". `facing` is "left" or "" for none. `hull` is a (K, 2)
    float32 array and `outlines` a tuple of such: points around the centre of the cell, in units of the drawing's longer
    side, y down. `levels` are the pixels as (S, S, 4) uint8 RGBA with premultiplied alpha, S = 128, 64, 32, 16.
    """

    index: int
    label: str
    pose: str
    facing: str
    hull: np.ndarray = field(repr=False)
    outlines: tuple[np.ndarray, ...] = field(repr=False)
    levels: tuple[np.ndarray, ...] = field(repr=False)


def _outline(alpha: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Hull and outlines of the pixels at least half opaque, through their outer edges, in units around the centre."""
    enlarged = cv2.resize((alpha >= 128).astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    kept = [c for c in contours if cv2.contourArea(c) >= 40] or [max(contours, key=cv2.contourArea)]

    def unit(points: np.ndarray) -> np.ndarray:
        return ((points.reshape(-1, 2) / 2 + 0.25 - CELL / 2) / UNIT).astype(np.float32)

    hull = cv2.convexHull(np.concatenate([c for c in contours if len(c) > 2]))
    hull = unit(hull)
    hull += np.sign(hull) * (0.25 / UNIT)
    return hull, tuple(unit(cv2.approxPolyDP(c, 1.5, True)) for c in kept)


@lru_cache(maxsize=1)
def load_atlas() -> tuple[Sprite, ...]:
    """All sprites in order; `PlacedObject.sprite` is an index into this tuple. Read once a process (about 0.2 s)."""
    index = json.loads((FOLDER / "sprites.json").read_text(encoding="utf-8"))
    sheets = [np.array(Image.open(path).convert("RGBA")) for path in sorted(FOLDER.glob("sheet_*.webp"))]
    sprites = []
    for label, entries in index.items():
        for entry in entries:
            sheet, place = divmod(entry["cell"], COLUMNS * COLUMNS)
            y, x = (CELL * side for side in divmod(place, COLUMNS))
            pixels = sheets[sheet][y : y + CELL, x : x + CELL].copy()
            alpha = pixels[..., 3].copy()
            pixels[..., :3] = (pixels[..., :3].astype(np.uint16) * alpha[..., None] + 127) // 255
            levels = [pixels]
            while levels[-1].shape[0] > 16:
                levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
            hull, outlines = _outline(alpha)
            sprites.append(Sprite(entry["cell"], label, entry["pose"], entry["facing"], hull, outlines, tuple(levels)))
    return tuple(sprites)


@lru_cache(maxsize=1)
def _by_label() -> dict[str, tuple[Sprite, ...]]:
    found: dict[str, list[Sprite]] = {}
    for sprite in load_atlas():
        found.setdefault(sprite.label, []).append(sprite)
    return {label: tuple(sprites) for label, sprites in found.items()}


def sprites_of(label: str) -> tuple[Sprite, ...]:
    """The drawings of a class. Raises KeyError for a class without sprites (`sign`, or an unknown one)."""
    return _by_label()[label]
