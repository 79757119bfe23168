"""Pictures that look like nothing else here, so that a model learns what to do where its own eyes do not help."""

import cv2
import numpy as np

from moai.data.draws import pick


def ood_image(side: int, rng: np.random.Generator) -> np.ndarray:
    """A (side, side, 3) uint8 picture of clouds of colour, shapes, gratings, strokes on paper or grain, often two of
    these mixed."""
    picture = pick(rng, _KINDS)(side, rng)
    if rng.random() < 0.5:
        other, share = pick(rng, _KINDS)(side, rng), 0.15 + 0.7 * rng.random()
        picture = share * picture + (1 - share) * other
    if rng.random() < 0.3:
        picture = picture.mean(axis=2, keepdims=True).repeat(3, axis=2)
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.5 + 3 * rng.random())
    low, high = np.sort(rng.uniform(-40, 295, 2))
    spread = np.ptp(picture) + 1e-3
    light = (picture - picture.min()) / spread * max(high - low, 60) + low
    return np.clip(light, 0, 255).astype(np.uint8)


def _clouds(side: int, rng: np.random.Generator) -> np.ndarray:
    """Noise at several scales, coarse ones strongest, as in photographs."""
    picture = np.zeros((side, side, 3), np.float32)
    for cells in (2, 4, 8, 16, 32, 64):
        grain = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        # Half of every grain is the same in all colours: what is lit is lit in all of them.
        grain = 0.5 * grain + 0.5 * grain[..., :1]
        picture += cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC) * cells ** -(0.3 + 0.9 * rng.random())
    return picture


def _shapes(side: int, rng: np.random.Generator) -> np.ndarray:
    """Ellipses and polygons over one another."""
    picture = np.full((side, side, 3), rng.uniform(0, 1, 3), np.float32)
    for _ in range(int(rng.integers(3, 30))):
        colour = rng.uniform(0, 1, 3).tolist()
        centre, size = rng.uniform(0, side, 2), side * rng.uniform(0.03, 0.4)
        if rng.random() < 0.5:
            axes = (int(size * rng.uniform(0.3, 1)) + 1, int(size * rng.uniform(0.3, 1)) + 1)
            cv2.ellipse(picture, centre.astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, colour, -1)
        else:
            corners = centre + rng.uniform(-size, size, (int(rng.integers(3, 8)), 2))
            cv2.fillPoly(picture, [corners.astype(np.int32)], colour)
    return picture


def _gratings(side: int, rng: np.random.Generator) -> np.ndarray:
    """Waves in a few directions."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side
    picture = np.zeros((side, side, 3), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        across, down = rng.normal(0, 8, 2)
        wave = np.sin(2 * np.pi * (across * columns + down * rows + rng.random()))
        picture += wave[..., None] * rng.uniform(-1, 1, 3).astype(np.float32)
    return picture


def _paper(side: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of short dark strokes on a light ground, or the other way round."""
    picture = np.zeros((side, side, 3), np.float32)
    height = int(rng.integers(3, 12))
    top = int(rng.integers(0, height + 1))
    while top < side:
        left = int(rng.integers(0, side // 4))
        while left < side:
            width = int(rng.integers(2, 6 * height))
            if rng.random() < 0.9:
                picture[top : top + max(height // 2, 1), left : left + width] = rng.uniform(0.6, 1)
            left += width + int(rng.integers(1, height + 1))
        top += height + int(rng.integers(1, height + 1))
    return picture if rng.random() < 0.3 else 1 - picture


def _grain(side: int, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 1, (side, side, 3)).astype(np.float32)


_KINDS = (_clouds, _clouds, _shapes, _shapes, _gratings, _paper, _grain)
