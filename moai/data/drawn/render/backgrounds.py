"""What objects stand on and before: plain backdrops, and simple layouts of sky, ground, road, sea and room."""

from functools import lru_cache

import cv2
import numpy as np

from moai.data.drawn.catalog import UPPER_STUFF
from moai.data.drawn.layout import Layout, Stuff
from moai.data.drawn.render.geometry import stuff_at

TILE = 512
TEXTURES = (
    "flat", "ramp down", "ramp right", "fine noise", "blotches", "stripes", "checks", "dots",
    "grass", "road", "sand", "waves", "rock", "bricks", "planks", "tiles", "snow", "clouds",
)  # fmt: skip
"""`Stuff.texture` is an index into these; the first eight serve plain backdrops."""

PLAIN = 8
_FINE = frozenset(("stripes", "checks", "grass", "road", "sand", "bricks", "planks", "tiles", "snow"))
"""Textures whose coarse part, wider than a few pixels, is taken out: a thumbnail shows a nearly plain colour."""
_COARSE = 3.0
"""Standard deviation, in pixels, of the blur that tells the coarse part."""
_MARKED = 0.5
"""How many roads have a lane marked."""
_STUFF_TEXTURE = {
    "sky": ("clouds", "ramp down"), "grass": ("grass",), "road": ("road",), "sand": ("sand",), "sea": ("waves",),
    "river": ("waves",), "mountain": ("rock",), "wall": ("bricks", "stripes", "flat"), "floor": ("planks", "checks"),
    "snow": ("snow",), "pavement": ("tiles",),
}  # fmt: skip
_STUFF_COLOUR = {
    "sky": ((120, 185, 240), (150, 205, 250), (245, 190, 150)), "grass": ((95, 165, 70), (130, 180, 80)),
    "road": ((92, 94, 100), (75, 77, 84)), "sand": ((228, 205, 150), (215, 185, 130)),
    "sea": ((35, 110, 170), (30, 130, 165)), "river": ((80, 150, 200),),
    "mountain": ((125, 120, 135), (110, 130, 120), (140, 115, 100)), "floor": ((165, 120, 80), (190, 150, 105)),
    "wall": ((215, 205, 185), (185, 205, 200), (205, 180, 175), (170, 95, 75)),
    "snow": ((235, 242, 250),), "pavement": ((175, 172, 168), (190, 182, 170)),
}  # fmt: skip
_UNUSUAL = 0.6
"""How often stuff has a colour that others may have as well, so that only its texture tells what it is."""
_GROUND_COLOURS = (
    (150, 140, 120), (182, 170, 140), (122, 132, 104), (168, 172, 176), (118, 122, 130), (205, 200, 190),
    (140, 150, 165), (170, 132, 108), (100, 108, 96), (190, 178, 120), (134, 118, 96), (150, 165, 150),
)  # fmt: skip
_UPPER_COLOURS = (
    (170, 190, 205), (205, 200, 190), (150, 158, 172), (196, 178, 170), (176, 176, 160), (140, 140, 150),
    (215, 205, 185), (186, 198, 188),
)  # fmt: skip


def _clouded(rng: np.random.Generator, cells: int) -> np.ndarray:
    """(TILE, TILE) uint8 smooth noise with about `cells` blotches a side."""
    grid = rng.random((cells, cells), np.float32)
    smooth = cv2.resize(np.pad(grid, 2, "wrap"), (TILE * (cells + 4) // cells,) * 2, interpolation=cv2.INTER_CUBIC)
    return (np.clip(smooth[:TILE, :TILE], 0, 1) * 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _tiles() -> dict[str, np.ndarray]:
    """One grey (TILE, TILE) uint8 tile a texture, the same in every process."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:TILE, :TILE]
    noise = rng.integers(0, 256, (TILE, TILE), np.uint8)
    fine = cv2.GaussianBlur(noise, (0, 0), 0.8)
    grain = cv2.addWeighted(noise, 0.5, _clouded(rng, 12), 0.5, 0)
    streaks = cv2.GaussianBlur(cv2.resize(noise[: TILE // 4], (TILE, TILE)), (0, 0), 1)
    ripple = np.sin(y / 5.0 + 2.2 * np.sin(x / 37.0) + _clouded(rng, 9) / 60.0)
    brick = ((y % 24 < 3) | ((x + (y // 24 % 2) * 28) % 56 < 3)) * -90 + 150 + noise // 12
    plank = ((y % 36 < 2) | ((x + (y // 36 * 97) % 180) % 180 < 2)) * -100 + 150 + streaks // 8
    tile = ((y % 44 < 3) | (x % 44 < 3)) * -80 + 150 + noise // 10
    rock = cv2.addWeighted(_clouded(rng, 10), 0.5, _clouded(rng, 40), 0.5, 0)
    puffs = cv2.addWeighted(_clouded(rng, 5), 0.7, _clouded(rng, 14), 0.3, 0)
    clouds = np.clip(puffs.astype(np.float32) * 1.6 - 130, 0, 255)
    tiles = {
        "flat": np.full((TILE, TILE), 128),
        "fine noise": fine,
        "blotches": _clouded(rng, 7),
        "stripes": ((x // 20) % 2) * 70 + 90,
        "checks": ((x // 32 + y // 32) % 2) * 70 + 90,
        "dots": ((x % 40 - 20) ** 2 + (y % 40 - 20) ** 2 < 90) * 90 + 90,
        "grass": cv2.addWeighted(streaks.T, 0.6, _clouded(rng, 16), 0.4, 0),
        "road": np.where(cv2.GaussianBlur(noise, (0, 0), 1.6) > 146, 235, fine // 3 + 60),
        "sand": grain // 2 + (np.sin(y / 1.9 + 1.7 * np.sin(x / 23.0) + _clouded(rng, 14) / 40.0) * 34 + 60),
        "waves": 128 + 70 * ripple,
        "rock": rock,
        "bricks": brick,
        "planks": plank,
        "tiles": tile,
        "snow": np.where(cv2.GaussianBlur(noise, (0, 0), 1.3) > 158, 255, _clouded(rng, 6) // 3 + 70),
        "clouds": clouds,
    }
    return {
        name: np.ascontiguousarray(_fine(pixels) if name in _FINE else pixels.astype(np.uint8))
        for name, pixels in tiles.items()
    }


def _fine(pixels: np.ndarray) -> np.ndarray:
    """A (TILE, TILE) uint8 tile without its coarse part, and grey on average."""
    pixels = pixels.astype(np.float32)
    return np.clip(pixels - cv2.GaussianBlur(pixels, (0, 0), _COARSE) + 128, 0, 255).astype(np.uint8)


def _palette(colour: tuple[int, int, int], texture: str) -> np.ndarray:
    """(256, 1, 3) uint8: what colour a tile's grey value becomes."""
    level = np.arange(256, dtype=np.float32)[:, None] / 255
    base = np.asarray(colour, np.float32)[None]
    if texture == "clouds":
        shades = base + (255 - base) * level * 0.8
    elif texture in ("ramp down", "ramp right"):
        shades = base * (1 - level) + (base * 0.45 + 130) * level
    else:
        shades = base * (0.8 + 0.4 * level)
    return np.clip(shades, 0, 255).astype(np.uint8)[:, None]


def _band(label: str, top: float, bottom: float, rng: np.random.Generator) -> Stuff:
    return _stuff(label, [(0.0, top), (1.0, top), (1.0, bottom), (0.0, bottom)], rng)


def _stuff(label: str, polygon: list[tuple[float, float]], rng: np.random.Generator) -> Stuff:
    colours, textures = _STUFF_COLOUR[label], _STUFF_TEXTURE[label]
    if rng.random() < _UNUSUAL:
        colours = _UPPER_COLOURS if label in UPPER_STUFF else _GROUND_COLOURS
    base = colours[int(rng.random() * len(colours))]
    colour = tuple(int(min(255, max(0, c + 20 * rng.random() - 10))) for c in base)
    return Stuff(label, polygon, colour, TEXTURES.index(textures[int(rng.random() * len(textures))]))


def _mountain(horizon: float, rng: np.random.Generator) -> Stuff:
    count = 3 + int(rng.random() * 4)
    xs = np.sort(rng.random(count)) * 0.9 + 0.05
    peaks = [(float(x), float(horizon * (0.3 + 0.45 * rng.random()))) for x in xs]
    foot = [(1.0, horizon), (0.0, horizon)]
    return _stuff("mountain", [(0.0, horizon * 0.8), *peaks, (1.0, horizon * 0.8), *foot], rng)


def plain_background(rng: np.random.Generator) -> list[Stuff]:
    """One nameless backdrop over the whole picture: flat, a gradient or a texture in some colour."""
    light = 90 + 140 * rng.random()
    colour = tuple(int(min(255, max(20, light + 120 * (value - 0.5)))) for value in rng.random(3))
    return [Stuff(None, [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], colour, int(rng.random() * PLAIN))]


def scenic_background(rng: np.random.Generator) -> list[Stuff]:
    """Named stuff in bands from top to bottom, now and then with a mountain painted before the sky."""
    kind = (
        "meadow",
        "meadow",
        "street",
        "street",
        "street",
        "beach",
        "room",
        "room",
        "snow",
        "desert",
        "yard",
        "lake",
    )[int(rng.random() * 12)]
    horizon = 0.32 + 0.22 * rng.random()
    second = horizon + (1 - horizon) * (0.35 + 0.25 * rng.random())
    hill = [_mountain(horizon, rng)] if rng.random() < 0.3 else []
    if kind == "meadow":
        return [_band("sky", 0, horizon, rng), *hill, _band("grass", horizon, 1, rng)]
    if kind == "street":
        verge = "pavement" if rng.random() < 0.5 else "grass"
        edge = horizon + 0.1 + 0.12 * rng.random()
        bands = [_band("sky", 0, horizon, rng), *hill, _band(verge, horizon, edge, rng)]
        if rng.random() < 0.5:
            return [*bands, _band("road", edge, 1, rng)]
        lower = "grass" if verge == "pavement" else "pavement"
        return [*bands, _band("road", edge, max(0.8, second), rng), _band(lower, max(0.8, second), 1, rng)]
    if kind == "beach":
        return [_band("sky", 0, horizon, rng), _band("sea", horizon, second, rng), _band("sand", second, 1, rng)]
    if kind == "lake":
        far = horizon + 0.1
        bands = [_band("sky", 0, horizon, rng), *hill, _band("grass", horizon, 1, rng)]
        return [*bands, _stuff("river", [(0.0, far), (1.0, far + 0.06), (1.0, far + 0.26), (0.0, far + 0.2)], rng)]
    if kind == "room":
        return [_band("wall", 0, horizon + 0.1, rng), _band("floor", horizon + 0.1, 1, rng)]
    if kind == "yard":
        return [_band("wall", 0, horizon + 0.05, rng), _band("pavement", horizon + 0.05, 1, rng)]
    ground = "snow" if kind == "snow" else "sand"
    return [_band("sky", 0, horizon, rng), *hill, _band(ground, horizon, 1, rng)]


def shade_at(layout: Layout, x: float, y: float) -> float:
    """About how light the backdrop is at a point (shares of the picture), before night falls: 0 to 255."""
    found = stuff_at(layout, x, y)
    return 128.0 if found is None else float(np.dot(layout.stuff[found].colour, (0.3, 0.59, 0.11)))


def _pixel_polygon(stuff: Stuff, height: int, width: int) -> np.ndarray:
    return np.rint(np.asarray(stuff.polygon, np.float32) * (width, height)).astype(np.int32)


def _grey(texture: str, height: int, width: int, scale: float, offset: np.ndarray) -> np.ndarray:
    """A (height, width) uint8 piece of a texture."""
    if texture == "ramp down":
        return np.repeat(np.linspace(0, 255, height).astype(np.uint8)[:, None], width, axis=1)
    if texture == "ramp right":
        return np.repeat(np.linspace(0, 255, width).astype(np.uint8)[None], height, axis=0)
    tile = _tiles()[texture]
    full_height, full_width = min(TILE, round(height / scale) + 1), min(TILE, round(width / scale) + 1)
    y = int(offset[0] * (TILE - full_height))
    x = int(offset[1] * (TILE - full_width))
    piece = tile[y : y + full_height, x : x + full_width]
    if piece.shape == (height + 1, width + 1):
        return piece[:height, :width]
    return cv2.resize(piece, (width, height), interpolation=cv2.INTER_LINEAR)


def paint_background(
    layout: Layout, height: int, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The backdrop at `height` x `width`: picture (H, W, 3) uint8 and index into `layout.stuff` (H, W) uint8."""
    picture = np.empty((height, width, 3), np.uint8)
    index = np.zeros((height, width), np.uint8)
    scale = width / layout.width
    offsets = rng.random((len(layout.stuff), 2))
    for number, stuff in enumerate(layout.stuff):
        points = _pixel_polygon(stuff, height, width)
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        if right <= left or bottom <= top:
            continue
        texture = TEXTURES[stuff.texture]
        grey = _grey(texture, bottom - top, right - left, scale, offsets[number])
        area = (slice(top, bottom), slice(left, right))
        painted = cv2.applyColorMap(np.ascontiguousarray(grey), _palette(stuff.colour, texture))
        if texture == "road" and offsets[number, 0] < _MARKED:
            _paint_lane(painted, scale)
        if len(points) == 4 and {tuple(p) for p in points.tolist()} == {
            (left, top), (right, top), (right, bottom), (left, bottom)
        }:  # fmt: skip
            picture[area], index[area] = painted, number
        else:
            inside = np.zeros(grey.shape, np.uint8)
            cv2.fillPoly(inside, [points - (left, top)], 255)
            cv2.copyTo(painted, inside, picture[area])
            index[area][inside > 0] = number
    return picture, index


def _paint_lane(painted: np.ndarray, scale: float) -> None:
    """A dashed white line along the middle of a road."""
    height, width = painted.shape[:2]
    thick = max(1, round(3 * scale))
    middle = height // 2
    for left in range(round(10 * scale), width, max(2, round(56 * scale))):
        painted[max(0, middle - thick) : middle + thick, left : left + round(30 * scale)] = (235, 235, 225)
