"""Which way pieces of text run, and pages turned so that their lines run to the right.

A piece is a quadrilateral (4, 2) in pixels: its corners go clockwise from where the text begins at the top of its
letters.
"""

from collections.abc import Sequence

import numpy as np

SAME_WAY = np.radians(25)
"""Pieces whose directions differ by less belong to one page."""
STANDS = 1.5
"""A piece so many times as high as wide holds text that runs downwards or upwards."""
_ELONGATED, _LETTERS = 1.5, 3
"""Pieces as many times as long as high, of as many letters, tell which way they run; a lone I or 1 does not."""
_AGREED = np.radians(3)
"""A page is tilted as its pieces are where two and half of the text agree to this; one tilted sign tilts no page."""
_DRIFT = 0.25
"""A tilt that moves the far end of a page by a smaller share of a line's height is none."""


def as_read(quad: np.ndarray, over: bool) -> np.ndarray:
    """A piece of which an engine gave the corners clockwise from the top left of the picture, from where its text
    begins. Engines turn what is clearly higher than wide, its right side up, before they read it; `over`: they turned
    it by half besides."""
    _, length, height = (float(value[0]) for value in sides(np.asarray(quad, float)[None]))
    return np.roll(quad, -(height >= STANDS * length) + 2 * over, axis=0)


def sides(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angle (clockwise, in radians, 0: to the right), length and height in pixels of pieces (N, 4, 2)."""
    along = (quads[:, 1] - quads[:, 0] + quads[:, 2] - quads[:, 3]) / 2
    down = (quads[:, 3] - quads[:, 0] + quads[:, 2] - quads[:, 1]) / 2
    return np.arctan2(along[:, 1], along[:, 0]), np.hypot(*along.T), np.hypot(*down.T)


def apart(angle: np.ndarray, other: float, turn: float = 2 * np.pi) -> np.ndarray:
    """How far angles are from another one (0..turn / 2), all in radians; what is `turn` apart is the same."""
    away = np.abs(angle - other) % turn
    return np.minimum(away, turn - away)


def pages(quads: np.ndarray, texts: Sequence[str]) -> list[tuple[float, np.ndarray]]:
    """Pieces (N, 4, 2) that run the same way: the angle of each page and its numbers, the page with most text first.

    Pieces that stand on their heads belong to their page: which way they run is a guess, and most pieces guess right.
    """
    angles, lengths, heights = sides(quads)
    known = (lengths >= _ELONGATED * heights) & (np.array([len(text) for text in texts]) >= _LETTERS)
    weights = np.where(known, lengths, 0.0)
    left = np.ones(len(quads), bool)
    found: list[tuple[float, np.ndarray]] = []
    while (left & known).any():
        near = np.array([weights[left & (apart(angles, angle) < SAME_WAY)].sum() for angle in angles])
        middle = float(angles[np.argmax(np.where(left & known, near, -1.0))])
        same = left & known & (apart(angles, middle) < SAME_WAY)
        turned = angles[same] - middle
        angle = middle + _middle(np.arctan2(np.sin(turned), np.cos(turned)), weights[same])
        agreed = same & (apart(angles, angle) < _AGREED)
        if agreed.sum() < 2 or weights[agreed].sum() < 0.5 * weights[same].sum():
            angle = _quarter(angle)
        inside = left & known & (apart(angles, middle, np.pi) < SAME_WAY)
        found.append((angle, np.flatnonzero(inside)))
        left &= ~inside
    if not found:
        return [(0.0, np.arange(len(quads)))]
    # What does not tell its direction takes that of most.
    angle, numbers = found[0]
    found[0] = (angle, np.sort(np.concatenate([numbers, np.flatnonzero(~known)])))
    return found


def boxes_along(quads: np.ndarray, angle: float) -> np.ndarray:
    """Boxes (N, 4) x1 y1 x2 y2 of pieces (N, 4, 2) on their page turned by `angle` (radians) so that its lines run to
    the right."""
    angles, lengths, heights = sides(quads)
    quarter = _quarter(angle)
    middles = quads.mean(axis=1)
    reach = np.hypot(*np.ptp(middles, axis=0)) + lengths.max()
    upright = abs(np.sin(angle - quarter)) * reach < _DRIFT * np.median(heights)
    angle = quarter if upright else angle
    cos, sin = np.round((np.cos(angle), np.sin(angle)), 12)
    turned = quads @ np.array([[cos, -sin], [sin, cos]])
    boxes = np.concatenate([turned.min(axis=1), turned.max(axis=1)], axis=1)
    if not upright:
        # The upright extent of what is tilted reaches into the lines above and below.
        along = apart(angles, angle, np.pi) < SAME_WAY
        half = np.stack([lengths, heights], axis=1) / 2
        middle = turned.mean(axis=1)
        boxes[along] = np.concatenate([middle - half, middle + half], axis=1)[along]
    return boxes


def _quarter(angle: float) -> float:
    """The nearest quarter turn."""
    return float(np.round(angle / (np.pi / 2)) * (np.pi / 2))


def _middle(values: np.ndarray, weights: np.ndarray) -> float:
    """The weighted median."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
