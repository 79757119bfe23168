"""How a drawn picture was taken: light, blur, noise, resolution and JPEG, from none at difficulty 0 on."""

from functools import lru_cache

import cv2
import numpy as np

from moai.data.drawn.layout import Conditions
from moai.data.drawn.levels import between

_NOISE_SIDE = 512
_NOISE_SPREAD = 32.0
_MAX_BLUR = 0.075
"""Blur over the font size at which letters can still be told apart."""
_MIN_LETTERS = 10.0
"""Font size in pixels that a low resolution leaves at least."""
_NIGHT = np.array([0.62, 0.58, 0.46])
"""What the darkest night takes from red, green and blue."""


def sample_conditions(seed: int, difficulty: float, letters: float) -> Conditions:
    """The conditions of a scene; strength and frequency of each grow with `difficulty` (0..1), none at 0.

    `letters` is the font size of the smallest sign in pixels: what would make it illegible is held back.
    """
    if difficulty == 0:
        return Conditions()
    rng = np.random.default_rng((seed, 0xC0DE))
    draw = rng.random(12).tolist()
    often = 0.5 * difficulty
    warm = 0.12 * difficulty * (2 * draw[0] - 1)
    night = between(draw[1], 0.4, 1.0) * difficulty if draw[2] < often / 2 else 0.0
    # Not both: together they leave nothing of small letters.
    soft, blurred = draw[3] < often, draw[4] < 0.5
    return Conditions(
        night=night,
        gain=1 + difficulty * (0.4 * draw[5] - 0.24),
        lift=difficulty * (32 * draw[6] - 16),
        cast=(1 + warm, 1.0, 1 - warm),
        blur=min(0.4 + 1.4 * difficulty * draw[7], _MAX_BLUR * letters) if soft and blurred else 0.0,
        resolution=max(1 - 0.55 * difficulty * draw[7], min(1.0, _MIN_LETTERS / letters))
        if soft and not blurred
        else 1.0,
        grain=2 + 20 * difficulty * draw[8] if draw[9] < often else 0.0,
        jpeg=round(90 - 75 * difficulty * draw[10]) if draw[11] < often else 0,
    )


def _shaded(picture: np.ndarray, gains: np.ndarray, lift: float = 0.0) -> np.ndarray:
    """The picture with a factor a channel, and `lift` grey levels added."""
    levels = np.arange(256, dtype=np.float32)[:, None, None] * gains.astype(np.float32) + np.float32(lift)
    return cv2.LUT(picture, np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def darkened(picture: np.ndarray, night: float) -> np.ndarray:
    """An (H, W, 3) uint8 picture by night, 0 (day) to 1; bluish. Lit signs are painted after it."""
    return _shaded(picture, 1 - night * _NIGHT) if night else picture


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    """(512, 512, 3) uint8 noise around 128."""
    rng = np.random.default_rng(3)
    return np.clip(rng.normal(128, _NOISE_SPREAD, (_NOISE_SIDE, _NOISE_SIDE, 3)), 0, 255).astype(np.uint8)


def _grained(picture: np.ndarray, spread: float, place: np.ndarray) -> np.ndarray:
    """The picture with noise of `spread` grey levels; `place` (2,) in 0..1 says which piece of the noise."""
    height, width = picture.shape[:2]
    noise = _noise()
    if height > _NOISE_SIDE or width > _NOISE_SIDE:
        noise = np.tile(noise, (-(-height // _NOISE_SIDE), -(-width // _NOISE_SIDE), 1))
    y, x = int(place[0] * (noise.shape[0] - height)), int(place[1] * (noise.shape[1] - width))
    amount = spread / _NOISE_SPREAD
    return cv2.addWeighted(picture, 1, noise[y : y + height, x : x + width], amount, -128 * amount)


def taken(picture: np.ndarray, conditions: Conditions, scale: float, rng: np.random.Generator) -> np.ndarray:
    """The (H, W, 3) uint8 picture as the camera gives it; nothing moves. `scale` is its size over the canvas."""
    height, width = picture.shape[:2]
    if conditions.blur:
        picture = cv2.GaussianBlur(picture, (0, 0), conditions.blur * scale)
    if conditions.resolution < 1:
        small = max(1, round(width * conditions.resolution)), max(1, round(height * conditions.resolution))
        picture = cv2.resize(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), (width, height))
    gains = conditions.gain * np.array(conditions.cast)
    if conditions.lift or (gains != 1).any():
        picture = _shaded(picture, gains, conditions.lift)
    if conditions.grain:
        # A smaller picture is one whose pixels are means of several.
        picture = _grained(picture, conditions.grain * min(1.0, scale), rng.random(2))
    if conditions.jpeg:
        quality = (cv2.IMWRITE_JPEG_QUALITY, conditions.jpeg)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
        picture = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return picture
