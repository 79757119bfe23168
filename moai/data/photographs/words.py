"""Which labels a caption names: COCO's things by the words that people use for them."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from moai.data.nouns import plural

_NAMES = {
    "person": "man woman boy girl child kid baby toddler lady guy gentleman adult teenager teen player skier surfer "
    "snowboarder skateboarder cyclist bicyclist biker rider climber hiker runner swimmer dancer worker policeman "
    "officer couple family crowd team human male female infant friend student teacher musician athlete cowboy bride "
    "groom mother father son daughter brother sister someone somebody anyone fisherman soldier",
    "dog": "puppy poodle labrador retriever terrier greyhound dalmatian bulldog collie spaniel beagle dachshund",
    "cat": "kitten kitty",
    "bicycle": "bike",
    "motorcycle": "motorbike moped scooter bike",
    "airplane": "plane jet aeroplane airliner biplane",
    "boat": "ship sailboat canoe kayak raft",
    "cow": "bull cattle calf",
    "sheep": "lamb",
    "horse": "pony foal",
    "bear": "polar",
    "bird": "seagull duck pigeon parrot goose owl",
    "couch": "sofa",
    "tv": "television",
    "cell phone": "cellphone phone mobile smartphone",
    "laptop": "computer",
    "refrigerator": "fridge",
    "dining table": "table",
    "sports ball": "ball basketball soccer football baseball volleyball",
    "car": "taxi automobile vehicle",
    "truck": "pickup vehicle",
    "umbrella": "parasol",
    "handbag": "purse bag",
    "skis": "ski skiing",
    "cup": "mug",
    "traffic light": "stoplight",
    "donut": "doughnut",
    "cake": "cupcake",
    "teddy bear": "teddy",
    "potted plant": "plant houseplant",
    "surfboard": "board",
    "skateboard": "board",
    "snowboard": "board",
    "bed": "bunk",
    "train": "locomotive",
    "chair": "armchair stool",
}
"""Other words for a label; some stand for several labels."""
_AMBIGUOUS = frozenset(["bike", "bag", "board", "vehicle", "computer", "phone", "ball", "table", "plant", "polar"])
"""Words that hint at a label, and do not name it: what they might mean is neither there for sure nor missing."""
PLAIN = frozenset({
    "person", "dog", "cat", "horse", "bicycle", "motorcycle", "airplane", "boat", "bus", "train", "truck",
    "cow", "sheep", "elephant", "bear", "zebra", "giraffe", "bird", "skateboard", "snowboard", "surfboard",
    "frisbee", "kite", "umbrella", "bed", "toilet", "pizza", "cake", "laptop", "bench", "couch"
})  # fmt: skip
"""Labels whose own word names them, also inside a caption."""
CONSPICUOUS = PLAIN - frozenset({"bench", "umbrella", "bicycle", "couch", "bed", "laptop", "truck"})
"""Of these, those that nobody leaves out: without them, no caption means that there is none."""


@lru_cache(maxsize=1)
def _of_word() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Labels by a word that names them, and by a word that may."""
    sure: dict[str, set[str]] = {}
    perhaps: dict[str, set[str]] = {}
    for label in PLAIN | _NAMES.keys():
        for word in [label, *_NAMES.get(label, "").split()]:
            for form in (word, plural(word)):
                perhaps.setdefault(form, set()).add(label)
                if word not in _AMBIGUOUS:
                    sure.setdefault(form, set()).add(label)
    return sure, perhaps


def labels_named(captions: Iterable[str]) -> frozenset[str]:
    """Labels that captions name beyond doubt."""
    return _found(captions, _of_word()[0])


def labels_hinted(captions: Iterable[str]) -> frozenset[str]:
    """Labels that captions may mean."""
    return _found(captions, _of_word()[1])


def _found(captions: Iterable[str], table: dict[str, set[str]]) -> frozenset[str]:
    found: set[str] = set()
    for caption in captions:
        words = re.findall("[a-z]+", caption.lower())
        pairs = [f"{a} {b}" for a, b in pairwise(words)]
        # "teddy bear" is no bear, "hot dog" no dog.
        inside = {word for pair in pairs if pair in table or pair in _OTHER for word in pair.split()}
        found.update(*(table[pair] for pair in pairs if pair in table))
        found.update(*(table[word] for word in words if word in table and word not in inside))
    return frozenset(found)


_OTHER = frozenset({"hot dog", "hot dogs", "bean bag", "stuffed dog", "stuffed bear", "toy train", "dog house"})
