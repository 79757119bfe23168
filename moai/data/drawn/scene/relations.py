"""The true relations of a layout, decided by what can be seen: boxes, drawn poses, paint order, classes and stuff."""

import numpy as np

from moai.data.drawn import catalog
from moai.data.drawn.layout import Layout, PlacedObject
from moai.data.drawn.render.atlas import load_atlas
from moai.data.drawn.render.geometry import coarse_mask, stuff_at
from perception.labels import PSG_PREDICATES

PREDICATES: tuple[str, ...] = (
    "riding", "wearing", "eating", "kicking", "swinging", "playing with", "holding", "carrying", "guiding", "pulling",
    "attached to", "lying on", "sitting on", "standing on", "chasing", "looking at", "crossing", "walking on",
    "running on", "driving on", "parked on", "flying over", "on", "in", "hanging from", "over", "in front of", "beside",
)  # fmt: skip
"""The predicates that drawn scenes show, the most specific first; all are in PSG_PREDICATES."""

assert set(PREDICATES) <= set(PSG_PREDICATES)

MAX_RELATIONS = 10
_MAX_BESIDE = 3
_GROUND = frozenset({"grass", "road", "sand", "floor", "snow", "pavement"})
_WATER = frozenset({"sea", "river"})
# Seen against a wall, they hang from it.
_CAN_HANG = frozenset({"clock", "bell", "hat", "guitar", "tv", "key", "umbrella", "tie"})


class _View:
    """An object with its box in pixels (not cut off by the canvas's shares) and what its drawing tells."""

    def __init__(self, item: PlacedObject, layout: Layout) -> None:
        sprite = load_atlas()[item.sprite]
        self.label, self.angle = item.label, (item.angle + 180) % 360 - 180
        self.x1, self.y1 = item.box[0] * layout.width, item.box[1] * layout.height
        self.x2, self.y2 = item.box[2] * layout.width, item.box[3] * layout.height
        self.width, self.height = max(self.x2 - self.x1, 1e-6), max(self.y2 - self.y1, 1e-6)
        self.x, self.y = (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2
        self.area = self.width * self.height
        self.pose = sprite.pose
        self.upright, self.lying = abs(self.angle) <= 35, 60 <= abs(self.angle) <= 120
        self.looks = 0 if not sprite.facing or not self.upright else (1 if item.flipped else -1)
        self.flies = self.label in catalog.FLIERS or (self.label == "bird" and self.pose == "fly")
        self.living = self.label in catalog.LIVING
        self.person = self.label == "person"


def _overlap(a: _View, b: _View) -> tuple[float, float]:
    """Common width and height of two boxes in pixels; negative values are gaps."""
    return min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)


def _stands_in(a: _View, b: _View, low: float, high: float) -> bool:
    """The bottom of a lies within this range of b's height (0 top, 1 bottom), a's middle not far below b's."""
    across, _ = _overlap(a, b)
    depth = (a.y2 - b.y1) / b.height
    return (
        across >= 0.5 * min(a.width, b.width)
        and low <= depth <= high
        and a.y < b.y + 0.15 * b.height
        and b.x1 <= a.x <= b.x2
    )


def _upon(a: _View, b: _View) -> str | None:
    """a, painted after b, rests on it."""
    if b.label in catalog.MOUNTS and b.upright and b.pose != "face" and a.person and not a.lying:
        return "riding" if _stands_in(a, b, 0.1, 0.9) else None
    if b.label in catalog.BOARDS and b.upright and a.living and a.pose != "bust" and not a.lying:
        return ("riding" if a.person else "standing on") if _stands_in(a, b, 0.0, 1.1) else None
    if b.label not in catalog.SEATS | catalog.SURFACES or not b.upright or not _stands_in(a, b, -0.02, 0.95):
        return None
    if a.lying and a.living:
        return "lying on"
    if not a.living:
        return "on" if a.label in catalog.SMALL | catalog.TOYS else None
    if a.person and a.pose in ("stand", "walk", "run"):
        return "standing on"
    return "sitting on"


def _doing(a: _View, b: _View) -> str | None:
    """Living a and thing b, painted after a, touch: what a does with b."""
    across, down = _overlap(a, b)
    touch = across * down / min(a.area, b.area) if across > 0 and down > 0 else 0.0
    if not a.living or b.living or touch < 0.06 or a.lying or b.area > a.area:
        return None
    if b.label in catalog.WORN and b.label != "tie":
        at_head = abs(b.x - a.x) < 0.35 * a.width and a.y1 - 0.6 * b.height < b.y < a.y1 + 0.25 * a.height
        return "wearing" if at_head and a.upright and b.upright else None
    if b.label in catalog.FOOD:
        return "eating"
    if b.label == "sports ball" and a.person and a.pose in ("run", "walk") and b.y > a.y2 - 0.25 * a.height:
        return "kicking"
    if b.label in catalog.TOYS:
        return "playing with"
    if a.person and a.upright:
        if b.label in catalog.SWUNG:
            return "swinging"
        if b.label in catalog.HELD:
            return "holding"
        if b.label in catalog.CARRIED:
            return "carrying"
    return None


def _facing(a: _View, b: _View, width: int) -> str | None:
    """a looks towards b, close by at about the same height."""
    across, down = _overlap(a, b)
    if not a.looks or (b.x - a.x) * a.looks <= 0 or across > 0.15 * min(a.width, b.width) or across < -0.2 * width:
        return None
    if down < 0.5 * min(a.height, b.height):
        return None
    if a.label in catalog.ANIMALS and b.label in catalog.ANIMALS and b.looks == a.looks:
        return "chasing"
    return "looking at" if b.living or b.label in catalog.FOOD | catalog.TOYS else None


def _ground(a: _View, label: str) -> str | None:
    """What a does on the stuff at the middle of its lower edge."""
    if label in _WATER:
        return "on" if a.label in ("boat", "duck") else "in" if a.label in catalog.SWIMMERS else None
    if label not in _GROUND or a.flies or a.label in catalog.FLOATERS | catalog.SWIMMERS:
        return None
    if a.living and a.lying:
        return "lying on"
    if a.person and a.upright:
        if a.pose == "walk" and label == "road":
            return "crossing"
        return {"walk": "walking on", "run": "running on", "stand": "standing on"}.get(a.pose)
    if a.living:
        return "standing on" if a.upright and a.pose == "body" else None
    if a.label in catalog.CARS:
        return ("driving on" if label == "road" else "parked on") if a.upright else None
    return "on" if a.upright else None


def _with_stuff(a: _View, layout: Layout) -> tuple[str, int] | None:
    """The relation of an object that rests on no other to the stuff around it."""

    def at(x: float, y: float) -> tuple[int, str] | None:
        found = stuff_at(layout, x / layout.width, y / layout.height)
        return None if found is None or not layout.stuff[found].label else (found, layout.stuff[found].label)

    middle, foot = at(a.x, a.y), at(a.x, a.y2 - 0.5)
    if a.flies and middle and middle[1] in ("sky", "mountain"):
        for y in np.linspace(a.y2, layout.height - 1, 12).tolist():
            below = at(a.x, y)
            if below and below[1] in _GROUND | _WATER:
                return "flying over", below[0]
    if a.label in catalog.FLOATERS and middle and middle[1] == "sky":
        return "in", middle[0]
    if middle and middle[1] == "wall" and a.label in _CAN_HANG and foot == middle:
        return "hanging from", middle[0]
    predicate = _ground(a, foot[1]) if foot else None
    return (predicate, foot[0]) if predicate else None


def _above(a: _View, b: _View, layout: Layout) -> str | None:
    """a is wholly above b, close, in line with it and not standing on the ground further back."""
    across, down = _overlap(a, b)
    foot = stuff_at(layout, a.x / layout.width, (a.y2 - 0.5) / layout.height)
    if foot is not None and layout.stuff[foot].label in _GROUND and not a.flies:
        return None
    near = -0.2 * layout.height <= down <= 0.1 * min(a.height, b.height)
    if a.y2 < b.y and across >= 0.5 * min(a.width, b.width) and near:
        return "flying over" if a.flies else "over"
    return None


def relations_of(layout: Layout) -> list[tuple[int, str, int]]:
    """(subject, predicate, object) triples as `Layout.relations` holds them: at most 10, the most specific first, at
    most one for a pair, objects of the layout as subjects, objects or named stuff as objects."""
    views = [_View(item, layout) for item in layout.objects]
    found: list[tuple[int, str, int]] = []
    rests: set[int] = set()
    masks: dict[int, np.ndarray] = {}
    tied = {frozenset((rope.subject, rope.object)): rope for rope in layout.ropes}

    def mask(index: int) -> np.ndarray:
        if index not in masks:
            masks[index] = coarse_mask(layout.objects[index], layout.width, layout.height)
        return masks[index]

    for j, later in enumerate(views):
        for i in range(j):
            earlier = views[i]
            if rope := tied.get(frozenset((i, j))):
                found.append((rope.subject, rope.predicate, rope.object))
                continue
            across, down = _overlap(later, earlier)
            if across < -0.2 * layout.width or down < -0.2 * layout.height:
                continue
            touching = across > 0 and down > 0 and bool((mask(i) & mask(j)).any())
            triple = None
            if touching:
                predicate = _upon(later, earlier)
                if predicate:
                    triple = (j, predicate, i)
                    rests.add(j)
                elif predicate := _doing(earlier, later):
                    triple = (i, predicate, j)
                    rests.add(j)
                else:
                    common = np.count_nonzero(mask(i) & mask(j))
                    smaller = min(np.count_nonzero(mask(i)), np.count_nonzero(mask(j)))
                    if common >= 0.06 * smaller:
                        triple = (j, "in front of", i)
            if triple is None:
                for a, b, s, o in ((later, earlier, j, i), (earlier, later, i, j)):
                    predicate = _above(a, b, layout) or _facing(a, b, layout.width)
                    if predicate:
                        triple = (s, predicate, o)
                        break
            if triple is None and not touching and _side_by_side(later, earlier, layout):
                triple = (i, "beside", j)
            if triple:
                found.append(triple)
    for index, view in enumerate(views):
        with_stuff = None if index in rests else _with_stuff(view, layout)
        if with_stuff:
            found.append((index, with_stuff[0], len(views) + with_stuff[1]))
    found.sort(key=lambda triple: (PREDICATES.index(triple[1]), triple[0], triple[2]))
    beside = [triple for triple in found if triple[1] == "beside"][:_MAX_BESIDE]
    return ([triple for triple in found if triple[1] != "beside"] + beside)[:MAX_RELATIONS]


def _side_by_side(a: _View, b: _View, layout: Layout) -> bool:
    """Two things of like size next to one another at about the same height."""
    across, down = _overlap(a, b)
    alike = max(a.area, b.area) < 4 * min(a.area, b.area)
    return alike and down >= 0.6 * min(a.height, b.height) and -0.1 * layout.width <= across <= 2
