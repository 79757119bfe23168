"""Random layouts: `sample_layout(seed)` plans one scene, always the same for the same seed."""

from collections.abc import Callable

import numpy as np

from moai.data.drawn import catalog
from moai.data.drawn.layout import Layout, PlacedObject
from moai.data.drawn.levels import MEDIUM, between, check
from moai.data.drawn.render.backgrounds import plain_background, scenic_background
from moai.data.drawn.render.conditions import sample_conditions
from moai.data.drawn.render.geometry import coarse_mask, shares, visible_shares
from moai.data.drawn.render.signs import sign_mask
from moai.data.drawn.scene.recipes import RECIPES, Item, Rng, single
from moai.data.drawn.scene.relations import relations_of
from moai.data.drawn.scene.ropes import is_seen, pair, rope_between
from moai.data.drawn.scene.sign_placement import MIN_LETTERS, add_signs, apart
from moai.data.draws import pick

LONGER_SIDE = 384
MIN_VISIBLE = 0.5
_LARGEST = 0.42 * LONGER_SIDE
_MIN_PART = 0.85
"""Size of the smallest part of a unit over that of the smallest single thing."""
_LABELS = tuple(label for label in catalog.THING_LABELS if label != "sign")
_WATER = ("sea", "river")
_GROUND = ("grass", "road", "sand", "floor", "snow", "pavement")
# Placed high on a wall, as a rule.
_HUNG_ON_WALLS = ("clock", "bell", "guitar", "hat")
_PAIRED, _ROPED = 0.6, 0.55
"""Of all scenes, how many have two things that a rope might join, and how many of these have the rope."""


def sample_layout(
    seed: int, difficulty: float = MEDIUM, text_of: Callable[[np.random.Generator], str] | None = None
) -> Layout:
    """A random scene, the same for the same arguments.

    The longer side is 384 px, the shape between 3:4 and 4:3. There are 1 to 12 objects, each with at least half of it
    to see, and 0 to 5 signs. `difficulty` in 0..1 makes the scene fuller, and signs and picture worse: see
    moai.data.drawn.levels. `text_of` makes the text of a sign; by default `moai.data.drawn.text.words.sign_text`.
    Raises ValueError for a difficulty out of range.
    """
    check(difficulty)
    if text_of is None:
        from moai.data.drawn.text.words import sign_text as text_of
    rng = np.random.default_rng((seed, 0x1A10B))
    ratio = 0.75 + rng.random() * (4 / 3 - 0.75) if rng.random() < 0.8 else 1.0
    width, height = round(LONGER_SIDE * min(1.0, ratio)), round(LONGER_SIDE / max(1.0, ratio))
    layout = Layout(seed, width, height)
    layout.stuff = scenic_background(rng) if rng.random() < 0.6 else plain_background(rng)
    add_signs(layout, rng, difficulty, text_of)
    _Planner(layout, rng, difficulty).fill()
    layout.relations = relations_of(layout)
    letters = min((sign.font_size for sign in layout.signs), default=MIN_LETTERS[0])
    layout.conditions = sample_conditions(seed, difficulty, letters)
    return layout


class _Planner:
    """Fills a layout with units, keeping enough of everything in sight."""

    def __init__(self, layout: Layout, rng: Rng, difficulty: float) -> None:
        self.layout, self.rng, self.difficulty = layout, rng, difficulty
        self.units: list[tuple[float, list[PlacedObject], list[np.ndarray]]] = []
        self.covers = [sign_mask(sign, layout.width, layout.height) for sign in layout.signs]
        self.bands = _bands(layout)
        self.roads = ("road",) * 4 if "road" in self.bands else ()
        ground = [self.bands[label] for label in _GROUND if label in self.bands]
        self.ground = (min(top for top, _ in ground), max(bottom for _, bottom in ground)) if ground else None
        self.most = int(between(difficulty, 5.0, 12.0))
        self.target = 1 + int(self.most * rng.random() ** (1 / (1 + 0.6 * difficulty)))
        self.least = between(difficulty, 0.115, 0.075) * LONGER_SIDE
        self.least_unit = between(difficulty, 0.2, 0.13) * LONGER_SIDE
        self.count = 0
        self.paired: tuple[str, list[PlacedObject]] | None = None

    def fill(self) -> None:
        """Adds units until the wanted number of objects stands, or there is no room."""
        rng = self.rng
        repeated = pick(rng, _LABELS) if rng.random() < 0.35 else None
        repeats = 2 + int(rng.random() * 4) if repeated else 0
        failures = 0
        if self.target >= 2 and rng.random() < _PAIRED:
            predicate, unit = pair(rng, max(self._size(), self.least_unit))
            if self._fits_scene(unit[0].label) and self._fits_scene(unit[1].label) and self._place(unit):
                self.paired = predicate, self.units[-1][1]
        while self.count < self.target and failures < 6:
            left = self.target - self.count
            size = self._size()
            if repeats > 0:
                repeats -= 1
                unit = single(rng, repeated, size * 0.85)
            elif left >= 2 and rng.random() < 0.6:
                unit = pick(rng, RECIPES)(rng, max(size, self.least_unit))[: self.most - self.count]
            else:
                unit = single(rng, self._label(), size)
            if not self._fits_scene(unit[0].label) and rng.random() < 0.8:
                failures += 0.25
            elif not self._place(unit):
                failures += 1
        if not self.count:
            self.covers = []
            self.layout.signs.clear()
            self._place(single(rng, pick(rng, _LABELS), 60.0))
        self.units.sort(key=lambda unit: unit[0])
        self.layout.objects = [item for _, items, _ in self.units for item in items]
        if self.paired is not None:
            self._join(*self.paired)

    def _join(self, predicate: str, things: list[PlacedObject]) -> None:
        """Ties the two together, or notes that they might be and are not."""
        layout = self.layout
        subject, other = (next(k for k, item in enumerate(layout.objects) if item is one) for one in things)
        if not is_seen(layout, subject, other, [mask for *_, masks in self.units for mask in masks], self.covers):
            return
        if self.rng.random() < _ROPED:
            layout.ropes.append(rope_between(layout, subject, predicate, other))
        else:
            layout.untied.append((subject, predicate, other))

    def _label(self) -> str:
        """A class: at times one that is there already, resembles one or suits the scene, else any."""
        rng = self.rng
        if self.units and rng.random() < between(self.difficulty, 0.05, 0.35):
            alike = catalog.look_alikes(pick(rng, pick(rng, self.units)[1]).label)
            if alike:
                return pick(rng, alike)
        kind = rng.random()
        if self.units and kind < 0.2:
            return pick(rng, pick(rng, self.units)[1]).label
        if kind > 0.93:
            return "person"
        if self.bands and kind < 0.6:
            return pick(rng, catalog.AT_HOME[pick(rng, (*self.bands, *self.roads))])
        return pick(rng, _LABELS)

    def _size(self) -> float:
        crowd = 1.1 - 0.05 * self.target
        share = (0.18 + 0.22 * self.rng.random() ** (1 + self.difficulty)) * crowd
        return share * LONGER_SIDE

    def _fits_scene(self, label: str) -> bool:
        """False for what would look out of place: a whale in a room, a train on a beach."""
        if not self.bands:
            return True
        if label in catalog.SWIMMERS or label == "boat":
            return any(water in self.bands for water in _WATER)
        if label in catalog.CARS:
            return "wall" not in self.bands or "pavement" in self.bands
        if label in catalog.FLIERS | catalog.FLOATERS:
            return "sky" in self.bands
        return True

    def _heights(self, unit: list[Item], tall: float) -> tuple[float, float]:
        """Least and greatest y for the lower edge of a unit `tall` pixels high."""
        label, height = unit[0].label, self.layout.height
        anywhere = (tall + 2.0, height - 2.0)
        if not self.bands or self.rng.random() < 0.1:
            return anywhere
        flies = label in catalog.FLIERS | catalog.FLOATERS or unit[0].sprite.pose == "fly"
        band = None
        if len(unit) == 1 and flies and "sky" in self.bands:
            low, high = self.bands["sky"]
            return max(tall + 2.0, low * height), max(tall + 4.0, high * height)
        if len(unit) == 1 and label in _HUNG_ON_WALLS and "wall" in self.bands and self.rng.random() < 0.6:
            return tall + 2.0, self.bands["wall"][1] * height - 4
        if label in catalog.SWIMMERS or label == "boat":
            band = next((self.bands[water] for water in _WATER if water in self.bands), None)
            if band and label != "boat":
                return band[0] * height + tall * 0.9, max(band[1] * height, band[0] * height + tall)
        if label in catalog.CARS | {"bicycle"} and "road" in self.bands and self.rng.random() < 0.75:
            band = self.bands["road"]
        band = band or self.ground
        if band is None:
            return anywhere
        return max(band[0] * height + 6, tall + 2.0), min(band[1] * height, height) - 3.0

    def _place(self, unit: list[Item]) -> bool:
        """Tries some places for the unit, then smaller ones; adds it at the first that leaves enough in sight."""
        rng, layout = self.rng, self.layout
        unit = self._limited(unit)
        for attempt in range(8):
            if attempt in (3, 6):
                unit = self._limited([_shrunk(item, 0.8) for item in unit])
            boxes = [item.box() for item in unit]
            left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
            right, bottom = max(b[2] for b in boxes), max(b[3] for b in boxes)
            if right - left > layout.width - 4 or bottom - top > layout.height - 4:
                unit = self._limited([_shrunk(item, 0.75) for item in unit])
                continue
            low, high = self._heights(unit, bottom - top)
            if high < low:
                continue
            dx = 2 + rng.random() * (layout.width - 4 - (right - left)) - left
            dy = low + (high - low) * rng.random() - bottom
            placed = [self._placed(item, dx, dy) for item in unit]
            if self._leaves_enough(placed, dy + bottom):
                self.count += len(placed)
                return True
        return False

    def _limited(self, unit: list[Item]) -> list[Item]:
        """The unit scaled so that its smallest and its largest item are of allowed size; the smallest has priority."""
        sizes = [item.size for item in unit]
        least = self.least if len(unit) == 1 else _MIN_PART * self.least
        factor = max(min(1.0, _LARGEST / max(sizes)), least / min(sizes))
        return unit if factor == 1 else [_shrunk(item, factor) for item in unit]

    def _placed(self, item: Item, dx: float, dy: float) -> PlacedObject:
        layout = self.layout
        x, y = item.x + dx, item.y + dy
        box = shares(x + item.left, y + item.top, x + item.right, y + item.bottom, layout.width, layout.height)
        bright = 0.85 + 0.3 * self.rng.random()
        return PlacedObject(item.label, item.sprite.index, (x, y), item.size, item.angle, bright, item.flipped, box)

    def _leaves_enough(self, placed: list[PlacedObject], depth: float) -> bool:
        """Adds the unit if everything, old and new, still shows enough of itself."""
        layout = self.layout
        margin = 0.01 if self.rng.random() > between(self.difficulty, 0.1, 0.7) else -0.05
        for item in placed:
            for _, others, _ in self.units:
                for other in others:
                    crowded = not apart(item.box, other.box, margin)
                    if crowded and (margin > 0 or _common(item.box, other.box) > between(self.difficulty, 0.4, 0.6)):
                        return False
        masks = [coarse_mask(item, layout.width, layout.height) for item in placed]
        units = sorted([*self.units, (depth, placed, masks)], key=lambda unit: unit[0])
        everything = [mask for _, _, group in units for mask in group]
        needed = MIN_VISIBLE + 0.06
        if min(visible_shares(everything, self.covers)) < needed:
            return False
        if min(visible_shares(masks, [])) < needed:
            return False
        for mask in masks:
            total = np.count_nonzero(mask)
            if any(np.count_nonzero(mask & cover) > 0.15 * total for cover in self.covers):
                return False
        self.units.append((depth, placed, masks))
        return True


def _common(a, b) -> float:
    """Common area of two boxes over the smaller one's."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _shrunk(item: Item, factor: float) -> Item:
    return Item(item.sprite, item.size * factor, item.angle, item.flipped, item.x * factor, item.y * factor)


def _bands(layout: Layout) -> dict[str, tuple[float, float]]:
    """Named stuff -> (top, bottom) in shares of the height."""
    bands: dict[str, tuple[float, float]] = {}
    for stuff in layout.stuff:
        if stuff.label:
            ys = [y for _, y in stuff.polygon]
            old = bands.get(stuff.label, (1.0, 0.0))
            bands[stuff.label] = (min(old[0], *ys), max(old[1], *ys))
    return bands
