"""Puts up the signs of a random scene."""

from collections.abc import Callable

import numpy as np

from moai.data.drawn.layout import Layout, Sign
from moai.data.drawn.levels import between
from moai.data.drawn.render.signs import COLOURS, FONTS, NARROW_FONT, PLAIN_FONTS, TEXT_COLOURS, plate_size, sign_box
from moai.data.drawn.scene.recipes import Rng
from moai.data.draws import pick
from perception.scene import Box

_COLOUR_NAMES = tuple(COLOURS)
MIN_LETTERS = 21.0, 14.0
"""Font size in pixels of the smallest letters at difficulty 0 and 1; very long texts go below."""

_MIN_PALE = 0.45
"""Contrast of the palest letters."""


def add_signs(layout: Layout, rng: Rng, difficulty: float, text_of: Callable[[np.random.Generator], str]) -> None:
    """Puts 0 to 5 signs on an empty layout, none over another; see `levels` for what `difficulty` does."""
    count = pick(rng, (0, 1, 1, 2, 2, 3, 1, 0))
    if count:
        count += int(rng.random() * between(difficulty, 1.0, 2.2))
    for _ in range(count):
        _add_sign(layout, rng, difficulty, text_of(rng))


def _add_sign(layout: Layout, rng: Rng, difficulty: float, text: str) -> None:
    """Adds a sign where none stands yet; letters are smaller than the least size only where the text is very long."""
    often = 0.5 * difficulty
    special = rng.random() < often
    font = PLAIN_FONTS + int(rng.random() * (len(FONTS) - PLAIN_FONTS)) if special else int(rng.random() * PLAIN_FONTS)
    tilt = (0.0, 0.0)
    if rng.random() < often:
        tilt = 0.2 * difficulty * (2 * rng.random() - 1), 0.1 * difficulty * (2 * rng.random() - 1)
    least = between(difficulty, *MIN_LETTERS)
    wanted = least + 19 * rng.random() ** 2
    # The nearer edges of a leaning plate reach further than those of an upright one.
    room = layout.width * 0.92 * (1 - abs(tilt[0]) - abs(tilt[1]))
    size = min(wanted, wanted * room / plate_size(text, font, wanted)[0])
    if size < least:
        font, size = NARROW_FONT, min(least, least * room / plate_size(text, NARROW_FONT, least)[0])
    size = round(size * 2) / 2
    colour = pick(rng, _COLOUR_NAMES)
    inks = TEXT_COLOURS[colour]
    ink = inks[0] if rng.random() < 0.7 else pick(rng, inks)
    contrast = 1 - (1 - _MIN_PALE) * difficulty * rng.random() if rng.random() < often else 1.0
    turned, most = between(difficulty, 0.2, 0.6), between(difficulty, 4.0, 12.0)
    for _ in range(12):
        angle = most * (2 * rng.random() - 1) if rng.random() < turned else 0.0
        sign = Sign(text, colour, ink, font, (0.0, 0.0), size, angle, (0, 0, 0, 0), contrast, tilt)
        sign.center = (layout.width / 2, layout.height / 2)
        x1, y1, x2, y2 = sign_box(sign, layout.width, layout.height)
        free_x, free_y = 0.98 - (x2 - x1), 0.98 - (y2 - y1)
        # A leaning plate does not reach equally far to all sides of its middle.
        left, top = 0.01 + max(0.0, free_x) * rng.random(), 0.01 + max(0.0, free_y) * rng.random()
        sign.center = ((0.5 + left - x1) * layout.width, (0.5 + top - y1) * layout.height)
        sign.box = sign_box(sign, layout.width, layout.height)
        if all(apart(sign.box, other.box, 0.025) for other in layout.signs):
            layout.signs.append(sign)
            return


def apart(a: Box, b: Box, margin: float) -> bool:
    """True when two boxes are more than `margin` (a share of the picture) apart; a negative one allows overlap."""
    return a[0] > b[2] + margin or b[0] > a[2] + margin or a[1] > b[3] + margin or b[1] > a[3] + margin
