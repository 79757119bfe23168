"""Pictures with something laid over them: what the experts saw, and where the model drew on it."""

import math

import cv2
import numpy as np
from PIL import Image

from moai.web.session import Look
from perception.draw import draw
from perception.registry import layers as all_layers


def annotated(look: Look, layers: list[str]) -> Image.Image:
    """The picture with the chosen layers drawn on it."""
    return draw(look.picture, look.scene, [name for name in all_layers() if name in layers])


def map_of(gates: list, layer: int | None) -> np.ndarray | None:
    """How much each image token drew on the experts' words: (rows, rows) shares, or None when nothing was mixed.

    `layer` is a decoder layer with a mixer; None averages over all of them.
    """
    maps = [gate.aux_map for gate in gates if layer is None or gate.layer == layer]
    if not maps:
        return None
    rows = math.isqrt(len(maps[0]))
    if rows == 0 or rows * rows != len(maps[0]):
        return None
    return np.asarray(maps, dtype=np.float32).mean(axis=0).reshape(rows, rows)


def heat_map(picture: Image.Image, shares: np.ndarray) -> Image.Image:
    """The picture in grey under colours from dark (least in this picture) to bright (most); even shares stay dark."""
    low, high = float(shares.min()), float(shares.max())
    even = high - low < 1e-4
    scaled = np.zeros_like(shares) if even else (shares - low) / (high - low)
    wide = picture.width, picture.height
    heat = np.clip(cv2.resize(scaled.astype(np.float32), wide, interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    grey = np.asarray(picture.convert("L"), dtype=np.float32)[:, :, None]
    weight = 0.35 + 0.35 * heat[:, :, None]
    return Image.fromarray((grey * (1 - weight) + colours * weight).astype(np.uint8))
