"""Where things are in a picture, and how they lie to each other, in words."""

from perception.scene import Box

DIRECTIONS = ("left", "right", "above", "below")
REGIONS = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")
FAR = 0.08
"""Share of the shorter side by which things must be apart before one is called left of or above the other."""


def opposite(direction: str) -> str:
    """ "right" for "left", and so on."""
    return DIRECTIONS[DIRECTIONS.index(direction) ^ 1]


def middle(box: Box) -> tuple[float, float]:
    """Centre of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def region_of(x: float, y: float, margin: float = 0.04) -> str | None:
    """The cell of a 3 x 3 grid that holds a point (shares of width and height); None within `margin` of a border."""
    if any(abs(value - border) < margin for value in (x, y) for border in (1 / 3, 2 / 3)):
        return None
    return REGIONS[min(int(y * 3), 2) * 3 + min(int(x * 3), 2)]


def direction_of(dx: float, dy: float) -> str | None:
    """Where something at (dx, dy) from another is, in pixels, y downwards; None unless one axis clearly dominates."""
    if abs(dx) > 1.6 * abs(dy):
        return "right" if dx > 0 else "left"
    if abs(dy) > 1.6 * abs(dx):
        return "below" if dy > 0 else "above"
    return None


def gap(a: Box, b: Box) -> float:
    """Distance between two boxes along the axis on which they are further apart, in shares; 0 when they overlap."""
    return max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3], 0.0)
