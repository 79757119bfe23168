"""Units of objects that belong together: one thing alone, or a small arrangement from which a relation arises."""

from dataclasses import dataclass

import numpy as np

from moai.data.drawn import catalog
from moai.data.drawn.render.atlas import Sprite, sprites_of
from moai.data.drawn.render.geometry import extents
from moai.data.draws import pick

Rng = np.random.Generator


@dataclass
class Item:
    """A sprite to be placed: its centre relative to the unit's own origin, and its extent around that centre."""

    sprite: Sprite
    size: float
    angle: float
    flipped: bool
    x: float = 0.0
    y: float = 0.0

    def __post_init__(self) -> None:
        self.left, self.top, self.right, self.bottom = extents(self.sprite, self.size, self.angle, self.flipped)

    @property
    def label(self) -> str:
        return self.sprite.label

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def width(self) -> float:
        return self.right - self.left

    def put(self, x: float, bottom: float) -> "Item":
        """Moves the middle of the box to x and its lower edge to `bottom`."""
        self.x, self.y = x - (self.left + self.right) / 2, bottom - self.bottom
        return self

    def box(self) -> tuple[float, float, float, float]:
        return self.x + self.left, self.y + self.top, self.x + self.right, self.y + self.bottom


def _sorted(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(label for label in catalog.THING_LABELS if label in names)


_MOUNTS, _BOARDS = _sorted(catalog.MOUNTS), _sorted(catalog.BOARDS)
_SEATS, _SURFACES = _sorted(catalog.SEATS), _sorted(catalog.SURFACES)
_ANIMALS, _FOOD, _TOYS = _sorted(catalog.ANIMALS), _sorted(catalog.FOOD), _sorted(catalog.TOYS)
_PETS = ("cat", "dog", "rabbit", "monkey", "bird", "panda", "fox", "pig", "penguin", "bear")
_CHASERS = tuple(label for label in _ANIMALS if any(s.facing for s in sprites_of(label)))
_SMALL = _sorted(catalog.SMALL - catalog.WORN)
_HELD, _SWUNG, _CARRIED = _sorted(catalog.HELD), _sorted(catalog.SWUNG), _sorted(catalog.CARRIED)
_HATS = ("hat", "crown")
_ALL = tuple(label for label in catalog.THING_LABELS if label != "sign")
_FLYING = (*_sorted(catalog.FLIERS), "bird")


def tilt(rng: Rng) -> float:
    """Mostly within 15 degrees, at times (one in eight) up to 50."""
    if rng.random() < 0.125:
        return 100 * rng.random() - 50
    return float(np.clip(5 * rng.standard_normal(), -15, 15))


def make(rng: Rng, label: str, size: float, poses: tuple[str, ...] = (), angle: float | None = None) -> Item:
    """An item of a class in one of the poses (any, when it has none of them), flipped half of the time."""
    sprites = sprites_of(label)
    if label == "person" and not poses:
        poses = pick(rng, (("stand",), ("walk",), ("run",), ("bust",), ("bust",)))
    fitting = tuple(s for s in sprites if s.pose in poses) if poses else sprites
    angle = 6 * rng.random() - 3 if angle is None else angle
    return Item(pick(rng, fitting or sprites), size, angle, rng.random() < 0.5)


def single(rng: Rng, label: str, size: float) -> list[Item]:
    """One thing by itself, upright or tilted."""
    return [make(rng, label, size * catalog.natural_scale(label), angle=tilt(rng))]


def riding(rng: Rng, size: float) -> list[Item]:
    """A person on a bicycle, motorcycle or animal, or on a board."""
    if rng.random() < 0.3:
        board = make(rng, pick(rng, _BOARDS), size, angle=8 * rng.random() - 4)
        rider = make(rng, "person", size * 1.15, ("stand", "walk", "run"))
        board.put(0, 0)
        depth = board.y + board.top + board.height * 0.55
        return [board, rider.put((rng.random() - 0.5) * 0.2 * board.width, depth)]
    mount = make(rng, pick(rng, _MOUNTS), size * 1.15, ("", "body"))
    rider = make(rng, "person", size * 0.9, ("stand", "run", "bust", "walk"))
    if rider.sprite.pose == "bust":
        rider = Item(rider.sprite, size * 0.6, rider.angle, rider.flipped)
    mount.put(0, 0)
    depth = mount.y + mount.top + mount.height * (0.35 + 0.15 * rng.random())
    return [mount, rider.put((rng.random() - 0.5) * 0.3 * mount.width, depth)]


def seated(rng: Rng, size: float) -> list[Item]:
    """A person or an animal that sits, lies or stands on a seat."""
    seat = make(rng, pick(rng, _SEATS), size * 1.3, angle=0.0)
    label = "person" if rng.random() < 0.4 else pick(rng, _PETS)
    lies = seat.label != "chair" and rng.random() < 0.35
    poses = () if label != "person" else ("stand", "walk") if lies else ("bust", "bust", "stand", "run")
    angle = pick(rng, (-90.0, 90.0)) + 16 * rng.random() - 8 if lies else None
    sitter = make(rng, label, size * (0.85 if lies else 0.8), poses, angle)
    seat.put(0, 0)
    level = {"chair": 0.6, "couch": 0.72, "bench": 0.68, "bed": 0.55}[seat.label]
    depth = seat.y + seat.top + seat.height * level
    room = max(0.0, seat.width - sitter.width) * 0.4
    return [seat, sitter.put((2 * rng.random() - 1) * room - (0.1 * seat.width if seat.label == "couch" else 0), depth)]


def laid_on(rng: Rng, size: float) -> list[Item]:
    """One to three small things on a table, bench, bed or couch."""
    table = make(rng, pick(rng, (*_SURFACES, "dining table")), size * 1.5, angle=0.0)
    table.put(0, 0)
    level = {"dining table": 0.12, "bench": 0.68, "bed": 0.5, "couch": 0.7}[table.label]
    depth = table.y + table.top + table.height * level
    count = 1 + int(rng.random() * 2.3)
    found = [table]
    for number in range(count):
        item = make(rng, pick(rng, _SMALL), table.width * (0.7 / (count + 1) + 0.05))
        place = (number + 0.5) / count - 0.5
        found.append(item.put(place * table.width * 0.8, depth))
    return found


def _beside_face(rng: Rng, eater: Item, item: Item, low: float, high: float, inside: float) -> Item:
    """Puts the item at the side that the first one looks to, its middle at a height between low and high (shares)."""
    side = (1 if eater.flipped else -1) if eater.sprite.facing else pick(rng, (-1, 1))
    x1, y1, x2, _ = eater.box()
    edge = x2 if side > 0 else x1
    middle = y1 + eater.height * (low + (high - low) * rng.random())
    return item.put(edge - side * item.width * (inside - 0.5), middle + item.height / 2)


def eating(rng: Rng, size: float) -> list[Item]:
    """An animal or a person with food before the face."""
    label = "person" if rng.random() < 0.25 else pick(rng, _ANIMALS)
    eater = make(rng, label, size * 1.05).put(0, 0)
    food = make(rng, pick(rng, _FOOD), size * 0.42, angle=tilt(rng))
    return [eater, _beside_face(rng, eater, food, 0.5, 0.8, 0.55)]


def playing(rng: Rng, size: float) -> list[Item]:
    """A person or an animal with a ball or a toy, or a person who kicks a ball."""
    if rng.random() < 0.35:
        player = make(rng, "person", size * 1.15, ("run", "walk")).put(0, 0)
        ball = make(rng, "sports ball", size * 0.38, angle=tilt(rng))
        return [player, _beside_face(rng, player, ball, 0.83, 0.86, 0.5)]
    label = "person" if rng.random() < 0.35 else pick(rng, _PETS)
    player = make(rng, label, size, ("body", "stand", "face") if label != "person" else ("stand", "bust")).put(0, 0)
    toy = make(rng, pick(rng, _TOYS), size * 0.48, angle=tilt(rng))
    return [player, _beside_face(rng, player, toy, 0.5, 0.75, 0.5)]


def holding(rng: Rng, size: float) -> list[Item]:
    """A person with something at hand: held, swung or carried."""
    person = make(rng, "person", size * 1.15, ("stand", "bust", "walk")).put(0, 0)
    kind = rng.random()
    label = pick(rng, _HELD) if kind < 0.5 else pick(rng, _SWUNG) if kind < 0.75 else pick(rng, _CARRIED)
    item = make(rng, label, size * 0.45, angle=tilt(rng))
    return [person, _beside_face(rng, person, item, 0.45, 0.65, 0.45)]


def wearing(rng: Rng, size: float) -> list[Item]:
    """Somebody with a hat or a crown on the head."""
    label = "person" if rng.random() < 0.5 else pick(rng, ("cat", "dog", "bear", "panda", "pig", "frog", "lion", "fox"))
    wearer = make(rng, label, size, ("bust", "face", "stand")).put(0, 0)
    head = min(wearer.width, wearer.height)
    hat = make(rng, pick(rng, _HATS), head * (0.75 if wearer.sprite.pose != "stand" else 0.8))
    x1, y1, x2, _ = wearer.box()
    return [wearer, hat.put((x1 + x2) / 2, y1 + min(hat.height * 0.4, wearer.height * 0.3))]


def chasing(rng: Rng, size: float) -> list[Item]:
    """Two animals one behind the other, looking the same way."""
    first = make(rng, pick(rng, _CHASERS), size * 0.9, ("body",)).put(0, 0)
    second = make(rng, pick(rng, _CHASERS), size * 0.8, ("body",))
    second = Item(second.sprite, second.size, second.angle, first.flipped)
    gap = (first.width + second.width) / 2 + size * (0.1 + 0.3 * rng.random())
    return [first, second.put(gap if first.flipped else -gap, 0)]


def watching(rng: Rng, size: float) -> list[Item]:
    """An animal or a walker before something that it looks at."""
    label = "person" if rng.random() < 0.3 else pick(rng, _CHASERS)
    watcher = make(rng, label, size, ("body", "walk")).put(0, 0)
    seen = make(rng, pick(rng, (*_FOOD, *_PETS, *_TOYS, "person")), size * 0.75)
    if watcher.sprite.facing == seen.sprite.facing:
        seen = Item(seen.sprite, seen.size, seen.angle, not watcher.flipped)
    gap = (watcher.width + seen.width) / 2 + size * (0.1 + 0.3 * rng.random())
    return [watcher, seen.put(gap if watcher.flipped else -gap, -0.1 * size)]


def side_by_side(rng: Rng, size: float) -> list[Item]:
    """Two things next to one another on the same level."""
    first = make(rng, pick(rng, _ALL), size * 0.9).put(0, 0)
    second = make(rng, pick(rng, _ALL), size * 0.9)
    return [first, second.put((first.width + second.width) / 2 + 0.15 * size * rng.random(), 0)]


def one_above(rng: Rng, size: float) -> list[Item]:
    """One thing over another; at times something that flies."""
    lower = make(rng, pick(rng, _ALL), size).put(0, 0)
    label = pick(rng, _FLYING) if rng.random() < 0.5 else pick(rng, _ALL)
    upper = make(rng, label, size * 0.8, ("fly", "", "body", "face", "bust"))
    depth = lower.y + lower.top - size * (0.08 + 0.2 * rng.random())
    return [lower, upper.put((rng.random() - 0.5) * 0.4 * size, depth)]


def in_front(rng: Rng, size: float) -> list[Item]:
    """One thing that hides a part of another."""
    behind = make(rng, pick(rng, _ALL), size * 1.1).put(0, 0)
    before = make(rng, pick(rng, _ALL), size * 0.8)
    side = pick(rng, (-1, 1))
    return [behind, before.put(side * (behind.width * 0.45 + before.width * 0.15), 0.12 * size)]


RECIPES = (
    riding, riding, seated, seated, seated, laid_on, laid_on, eating, playing, playing, holding, holding, wearing,
    chasing, watching, side_by_side, one_above, in_front,
)  # fmt: skip
"""Each is drawn as often as it stands here."""
