"""Ropes between things: leashes, strings of balloons, towropes. Too thin to be seen at a glance, and without one the
same two things merely stand near each other."""

import numpy as np

from moai.data.drawn import catalog
from moai.data.drawn.layout import Layout, Rope
from moai.data.drawn.render.backgrounds import shade_at
from moai.data.drawn.render.geometry import GRID
from moai.data.drawn.render.ropes import rope_end
from moai.data.drawn.scene.recipes import Item, Rng, make
from moai.data.draws import pick

_CONTRAST = 85
"""Grey levels between a rope and the backdrop at its middle."""
_MIN_SEEN = 0.8
"""A rope of whose way between its things more than the rest is hidden is left out."""
_SAMPLES = 48

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


def is_seen(layout: Layout, subject: int, other: int, masks: list[np.ndarray], covers: list[np.ndarray]) -> bool:
    """True when a rope between two objects would show: there is a way between them, and nearly nothing hides it.

    `masks` are the objects' and `covers` the signs' coarse masks, see `moai.data.drawn.render.geometry`.
    """
    start, end = rope_end(layout.objects[subject], layout), rope_end(layout.objects[other], layout)
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
    return length >= 4 * GRID and np.count_nonzero(~own & ~hidden) >= _MIN_SEEN * between


def rope_between(layout: Layout, subject: int, predicate: str, other: int) -> Rope:
    """A rope of a shade that can be told from what it runs before."""
    x, y = (rope_end(layout.objects[subject], layout) + rope_end(layout.objects[other], layout)) / 2
    light = shade_at(layout, x / layout.width, y / layout.height)
    shade = light - _CONTRAST if light > 120 else light + _CONTRAST
    return Rope(subject, predicate, other, tuple(round(shade + tint) for tint in (6, 0, -6)))
