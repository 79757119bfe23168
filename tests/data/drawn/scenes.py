"""Hand-made and random layouts for tests, without drawing anything."""

import numpy as np

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.layout import Layout, PlacedObject, Sign, Stuff
from moai.data.drawn.render.atlas import load_atlas
from moai.data.drawn.render.geometry import extents, shares
from moai.data.drawn.text.words import sign_text
from perception.scene import Box


def thing(label, x, y, width=0.12, height=0.15):
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return PlacedObject(label, 0, (x * 320, y * 240), 40.0, 0.0, 1.0, False, box)


def sign(text, colour, x, y):
    return Sign(text, colour, "black", 0, (x * 320, y * 240), 20.0, 0.0, (x - 0.1, y - 0.05, x + 0.1, y + 0.05))


def ground(label, top=0.6, bottom=1.0):
    return Stuff(label, [(0, top), (1, top), (1, bottom), (0, bottom)], (90, 90, 90), 0)


def street():
    """A cat on a bench, far left; two cars on a road; a dog at the top right; a red OPEN and a blue 42 sign."""
    objects = [
        thing("bench", 0.15, 0.55, 0.2, 0.2),
        thing("cat", 0.15, 0.45),
        thing("car", 0.5, 0.8),
        thing("car", 0.8, 0.85),
        thing("dog", 0.85, 0.15),
    ]
    signs = [sign("OPEN", "red", 0.2, 0.15), sign("42", "blue", 0.55, 0.2)]
    relations = [(1, "sitting on", 0), (2, "driving on", 5), (3, "driving on", 5)]
    return Layout(0, 320, 240, [ground("road")], objects, signs, relations)


def random_layout(seed, predicates=("sitting on", "standing on", "holding", "riding", "wearing", "eating", "on")):
    """Things, signs, stuff and relations at random; the relations need make no sense."""
    rng = np.random.default_rng(seed)
    layout = Layout(seed, 320, 240)
    for label in rng.choice(STUFF_LABELS, rng.integers(0, 3), replace=False):
        top = rng.uniform(0.3, 0.7)
        layout.stuff.append(ground(str(label), top))
    for _ in range(rng.integers(0, 6)):
        label = str(rng.choice(THING_LABELS[:-1]))
        for _ in range(rng.choice([1, 1, 1, 2, 3, 4])):
            layout.objects.append(thing(label, *rng.uniform(0.1, 0.9, 2)))
    for _ in range(rng.integers(0, 4)):
        colour = str(rng.choice(["red", "blue", "white"]))
        layout.signs.append(sign(sign_text(rng), colour, *rng.uniform(0.15, 0.85, 2)))
    things = len(layout.objects)
    for _ in range(rng.integers(0, 3) if things else 0):
        subject, other = int(rng.integers(things)), int(rng.integers(things + len(layout.stuff)))
        if subject != other and not any({s, o} == {subject, other} for s, _, o in layout.relations):
            layout.relations.append((subject, str(rng.choice(predicates)), other))
    return layout


def object_box(item: PlacedObject, width: int, height: int) -> Box:
    """The box of an object as `PlacedObject.box` has it."""
    left, top, right, bottom = extents(load_atlas()[item.sprite], item.size, item.angle, item.flipped)
    x, y = item.center
    return shares(x + left, y + top, x + right, y + bottom, width, height)
