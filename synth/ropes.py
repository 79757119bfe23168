"""Ropes between things: leashes, strings of balloons, towropes. Too thin to be seen at a glance, and without one the
same two things merely stand near each other."""

import cv2
import numpy as np

from synth import catalog
from synth.backgrounds import shade_at
from synth.facts import middle
from synth.geometry import GRID
from synth.layout import Layout, PlacedObject, Rope
from synth.recipes import Item, Rng, make, pick

WIDTH = 1.0
"""Pixels across, on the canvas."""
_CONTRAST = 85
"""Grey levels between a rope and the backdrop at its middle."""
_LEAST_SEEN = 0.8
"""A rope of whose way between its things more than the rest is hidden is left out."""
_SAMPLES = 48
_SHIFT = 4

_ON_LEASH = tuple(
    label for label in catalog.THING_LABELS if label in catalog.ANIMALS - {"bird", "snail", "crab", "snake", "frog"}
)
_PULLED = ("boat", "bicycle", "bed", "couch", "gift", "suitcase", "pumpkin", "surfboard", "tent", "drum", "skis")
_POSTS = ("tree", "bench", "traffic light", "stop sign", "house", "ladder", "cactus", "snowman")
_TIED_UP = ("dog", "horse", "cow", "sheep", "pig", "camel", "elephant", "boat", "bicycle", "balloon", "kite", "monkey")
_PULLERS = ("tractor", "truck", "car", "horse", "cow", "camel", "elephant", "motorcycle", "dinosaur", "person")

Pair = tuple[str, list[Item]]
"""A predicate, and its subject and object side by side."""


def _beside(rng: Rng, subject: Item, other: Item, size: float) -> list[Item]:
    gap = size * (0.25 + 0.55 * rng.random())
    away = (subject.width + other.width) / 2 + gap
    return [subject.put(0, 0), other.put(away * pick(rng, (-1, 1)), 0)]


def pair(rng: Rng, size: float) -> Pair:
    """Two things that a rope may join, with what the first then does with the second."""
    kind = rng.random()
    if kind < 0.3:
        person = make(rng, "person", size, ("stand", "walk", "bust")).put(0, 0)
        flown = make(rng, pick(rng, ("balloon", "kite")), size * 0.6)
        side = (person.width / 2 + size * (0.1 + 0.5 * rng.random())) * pick(rng, (-1, 1))
        return "holding", [person, flown.put(side, person.y + person.top + size * (0.35 * rng.random() - 0.3))]
    if kind < 0.6:
        person = make(rng, "person", size, ("stand", "walk", "run"))
        return "guiding", _beside(rng, person, make(rng, pick(rng, _ON_LEASH), size * 0.8, ("body",)), size)
    if kind < 0.8:
        puller = make(rng, pick(rng, _PULLERS), size, ("", "body", "walk"))
        return "pulling", _beside(rng, puller, make(rng, pick(rng, _PULLED), size * 0.8), size)
    tied = make(rng, pick(rng, _TIED_UP), size * 0.85, ("", "body"))
    return "attached to", _beside(rng, tied, make(rng, pick(rng, _POSTS), size), size)


def _middle(item: PlacedObject, layout: Layout) -> np.ndarray:
    return np.array(middle(item.box)) * (layout.width, layout.height)


def is_seen(layout: Layout, subject: int, other: int, masks: list[np.ndarray], covers: list[np.ndarray]) -> bool:
    """True when a rope between two objects would show: there is a way between them, and nearly nothing hides it.

    `masks` are the objects' and `covers` the signs' coarse masks, see `synth.geometry`.
    """
    start, end = _middle(layout.objects[subject], layout), _middle(layout.objects[other], layout)
    points = start + np.linspace(0, 1, _SAMPLES)[:, None] * (end - start)
    rows, columns = masks[0].shape
    y = np.clip((points[:, 1] / GRID).astype(int), 0, rows - 1)
    x = np.clip((points[:, 0] / GRID).astype(int), 0, columns - 1)
    own = masks[subject][y, x] | masks[other][y, x]
    others = [mask for index, mask in enumerate(masks) if index not in (subject, other)]
    hidden = np.zeros(_SAMPLES, bool)
    for mask in (*others, *covers):
        hidden |= mask[y, x]
    between = np.count_nonzero(~own)
    length = between / _SAMPLES * float(np.hypot(*(end - start)))
    return length >= 4 * GRID and np.count_nonzero(~own & ~hidden) >= _LEAST_SEEN * between


def rope_between(layout: Layout, subject: int, predicate: str, other: int) -> Rope:
    """A rope of a shade that can be told from what it runs before."""
    x, y = (_middle(layout.objects[subject], layout) + _middle(layout.objects[other], layout)) / 2
    light = shade_at(layout, x / layout.width, y / layout.height)
    shade = light - _CONTRAST if light > 120 else light + _CONTRAST
    return Rope(subject, predicate, other, tuple(round(shade + tint) for tint in (6, 0, -6)))


def paint_rope(picture: np.ndarray, layout: Layout, rope: Rope, scale: float) -> None:
    """Draws a rope into an (H, W, 3) uint8 picture that is `scale` times the canvas."""
    start, end = (_middle(layout.objects[index], layout) * scale for index in (rope.subject, rope.object))
    # What is thinner than a pixel is drawn paler.
    width = WIDTH * scale
    low = np.floor(np.minimum(start, end)).astype(int) - 2
    high = np.ceil(np.maximum(start, end)).astype(int) + 3
    x0, y0 = np.maximum(low, 0)
    x1, y1 = np.minimum(high, (picture.shape[1], picture.shape[0]))
    if x1 <= x0 or y1 <= y0:
        return
    area = picture[y0:y1, x0:x1]
    line = np.zeros(area.shape[:2], np.uint8)
    ends = [tuple(np.rint((point - (x0, y0) - 0.5) * 2**_SHIFT).astype(int).tolist()) for point in (start, end)]
    cv2.line(line, *ends, 255, max(1, round(width)), cv2.LINE_AA, _SHIFT)
    alpha = (line.astype(np.float32) / 255 * min(1.0, width))[..., None]
    area[:] = np.rint(area * (1 - alpha) + np.array(rope.colour, np.float32) * alpha).astype(np.uint8)
