"""What a Layout says without a look at the pixels: names, counts and places."""

from collections import Counter
from dataclasses import dataclass

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.layout import Layout, Sign
from moai.data.nouns import singular_noun, with_article
from moai.data.places import FAR, middle
from perception.scene import Box

GROUPS: dict[str, tuple[str, ...]] = {
    name: tuple(label.strip() for label in labels.split(","))
    for name, labels in {
        "pets and farm": "cat, dog, horse, sheep, cow, rabbit, duck, pig, mouse, snail, frog",
        "wild animals": "elephant, bear, zebra, giraffe, monkey, lion, tiger, fox, panda, snake, camel, dinosaur",
        "sea and birds": "fish, whale, octopus, crab, turtle, penguin, bird, duck, boat",
        "insects and sky": "butterfly, bee, bird, balloon, kite, airplane, helicopter, rocket, star, moon, sun",
        "vehicles": "bicycle, car, motorcycle, airplane, bus, train, truck, boat, tractor, helicopter, rocket",
        "street": "person, traffic light, stop sign, bench, sign, tree, house, tent, car, bicycle, ladder, dog",
        "garden": "tree, cactus, flower, potted plant, mushroom, pumpkin, snowman, bench, ladder",
        "fruit": "banana, apple, orange, strawberry, lemon, grapes, pineapple, watermelon, pumpkin, carrot, broccoli",
        "meals": "sandwich, hot dog, pizza, donut, cake, bread, cheese, egg, hamburger, ice cream, mushroom",
        "tableware": "bottle, wine glass, cup, fork, knife, spoon, bowl, vase, candle",
        "furniture": "chair, couch, bed, dining table, bench, toilet, potted plant, clock, refrigerator, vase",
        "devices": "tv, laptop, mouse, keyboard, cell phone, microwave, refrigerator, camera, light bulb, robot, clock",
        "sports": "frisbee, skis, sports ball, kite, baseball bat, skateboard, surfboard, tennis racket, trophy",
        "things to wear": "backpack, umbrella, handbag, tie, suitcase, hat, shoe, crown",
        "toys and music": "teddy bear, robot, balloon, gift, guitar, drum, trumpet, bell, sports ball, kite, snowman",
        "tools": "scissors, toothbrush, hammer, key, pencil, ladder, book, knife, candle, bell, light bulb",
        "symbols": "star, heart, moon, sun, crown, trophy, gift, balloon",
    }.items()
}
"""Things that go together; an adversarial absent label comes from a group of which another member is in the picture."""

_COMPANIONS: dict[str, tuple[str, ...]] = {
    label: tuple(
        dict.fromkeys(
            other for group in GROUPS.values() if label in group for other in group
            if other != label and other in THING_LABELS
        )
    )
    for label in THING_LABELS
}  # fmt: skip

# Labels of which a person could defend that the second shows the first, or the other way round.
_LOOK_ALIKES = (
    {"bear", "panda", "teddy bear"},
    {"bird", "duck", "penguin"},
    {"sign", "stop sign"},
    {"flower", "potted plant"},
    {"sandwich", "hamburger"},
    {"wall", "floor", "curtain"},
    {"grass", "mountain"},
    {"road", "pavement", "floor"},
    {"sea", "river"},
    {"sand", "snow"},
    {"person", "snowman", "robot"},
)
_CONFUSABLE: dict[str, frozenset[str]] = {
    label: frozenset().union(*(group for group in _LOOK_ALIKES if label in group)) - {label}
    for label in (*THING_LABELS, *STUFF_LABELS)
}

MASS_STUFF = frozenset({"grass", "sand", "snow", "pavement", "sky", "sea", "dirt", "water", "gravel"})


def asked_for(label: str) -> str:
    """How a question asks for a label: "a dog", "any grass", "a road"."""
    return f"any {label}" if label in MASS_STUFF else with_article(singular_noun(label))


def companions(label: str) -> tuple[str, ...]:
    """Labels that share a group with this one; empty for stuff and unknown labels."""
    return _COMPANIONS.get(label, ())


def confusable(label: str) -> frozenset[str]:
    """Labels that must not be asked for as absent while this one is in the picture."""
    return _CONFUSABLE.get(label, frozenset())


def inside(point: tuple[float, float], polygon: list[tuple[float, float]]) -> bool:
    """Even-odd test of a point (shares of width and height) against a polygon."""
    x, y = point
    hit = False
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            hit = not hit
        x1, y1 = x2, y2
    return hit


@dataclass(slots=True)
class Place:
    """A thing, its box and its centre in shares of width and height."""

    label: str
    box: Box
    x: float
    y: float

    @classmethod
    def of(cls, label: str, box: Box) -> "Place":
        """The place of a box."""
        return cls(label, box, *middle(box))


class Facts:
    """A Layout, indexed for asking. `counts` counts things by label, signs included; `places` are all of these things
    and `uniques` those whose label occurs once; `absent` labels occur neither as a thing nor as stuff and are not
    confusable with one."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.width, self.height = layout.width, layout.height
        self.signs: list[Sign] = layout.signs
        self.counts = Counter(item.label for item in layout.objects)
        if layout.signs:
            self.counts["sign"] += len(layout.signs)
        self.stuff = Counter(part.label for part in layout.stuff if part.label)
        # A stop sign is a sign to anybody who looks, so it makes "the sign" and "the red sign" ambiguous.
        self.has_stop_sign = "stop sign" in self.counts
        self.places = [Place.of(item.label, item.box) for item in layout.objects]
        self.uniques = [place for place in self.places if self.counts[place.label] == 1]
        signs = [Place.of("sign", sign.box) for sign in layout.signs]
        self.places += signs
        if len(signs) == 1 and not self.has_stop_sign:
            self.uniques += signs
        present = set(self.counts) | set(self.stuff)
        self._doubled = set(self.counts) & set(self.stuff)
        self._not_absent = present.union(*(confusable(label) for label in present))

    def towards(self, other: Place, one: Place) -> tuple[float, float]:
        """The way from one place to another in pixels, y downwards."""
        return (other.x - one.x) * self.width, (other.y - one.y) * self.height

    def is_far(self, dx: float, dy: float) -> bool:
        """True when a way in pixels is long enough to say where it leads."""
        return max(abs(dx), abs(dy)) > FAR * min(self.width, self.height)

    def is_absent(self, label: str) -> bool:
        """True when nobody could defend that `label` is in the picture."""
        return label not in self._not_absent

    def is_unique(self, index: int) -> bool:
        """True when the label of a relation's subject or object names it and nothing else in the picture."""
        # Stuff is one thing to the eye, in however many pieces it was drawn.
        label = self.layout.label_of(index)
        return self.counts[label] == (1 if index < len(self.layout.objects) else 0) and label not in self._doubled

    def box_of(self, index: int) -> Box | None:
        """Box of an object, or None for stuff."""
        return self.layout.objects[index].box if index < len(self.layout.objects) else None
