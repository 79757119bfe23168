"""Where things are, and how two things lie to each other or compare in size; only where the boxes tell clearly."""

from itertools import permutations

from moai.data.draws import pick
from moai.data.nouns import enumerate_words
from moai.data.photographs.asking import Asking, Turn, yes
from moai.data.photographs.photograph import LabelledBox
from moai.data.places import DIRECTIONS, FAR, direction_of, middle, opposite, region_of

SIDES = {
    "left": ("to the left of", "left of", "on the left side of", "to the left of"),
    "right": ("to the right of", "right of", "on the right side of", "to the right of"),
    "above": ("above", "above", "higher than", "over"),
    "below": ("below", "below", "lower than", "under"),
}
YES_NO = (
    "Is the {x} {side} the {y}?", "Is the {x} {side} the {y} in the {pic}?", "Can you see the {x} {side} the {y}?",
    "In the {pic}, is the {x} {side} the {y}?", "The {x} is {side} the {y}. Is that right?",
)  # fmt: skip
WHICH_SIDE = (
    *("Is the {x} to the {a} or to the {b} of the {y}?",) * 3, "Is the {x} {a} or {b} of the {y}?",
    "On which side of the {y} is the {x}, {a} or {b}?", "Is the {x} on the {a} or {b} side of the {y}?",
)  # fmt: skip
WHICH_HEIGHT = (
    *("Is the {x} {a} or {b} the {y}?",) * 3, "Is the {x} {a} the {y} or {b} it?", "Is the {x} {a} the {y}, or {b}?",
)  # fmt: skip
RELATIVE = (
    "Where is the {x} relative to the {y}?", "Where is the {x}, seen from the {y}?",
    "In which direction is the {x} from the {y}?", "Is the {x} left, right, above or below the {y}?",
)  # fmt: skip
REGION = (
    "Where is the {x}?", "Where in the {pic} is the {x}?", "Where is the {x} in the {pic}?",
    "In which part of the {pic} is the {x}?", "Where can the {x} be seen?",
)  # fmt: skip
THIRDS = (
    "Is the {x} on the left, in the middle or on the right?", "Is the {x} left, middle or right?",
    "Is the {x} on the left, in the middle or on the right of the {pic}?",
)  # fmt: skip
HEIGHTS = ("Is the {x} at the top, in the middle or at the bottom?", "Is the {x} top, middle or bottom?")
BESIDE = ("What is {side} the {y}?", "What can be seen {side} the {y}?", "Which thing is {side} the {y}?")
LARGER = ("Which is larger in the {pic}, the {x} or the {y}?", "Which takes up more of the {pic}, the {x} or the {y}?",
          "Which looks bigger, the {x} or the {y}?")  # fmt: skip


def _way(asking: Asking, one: LabelledBox, other: LabelledBox) -> tuple[float, float]:
    """From `other` to `one` in pixels, y downwards."""
    (x1, y1), (x2, y2) = middle(one.box), middle(other.box)
    return (x1 - x2) * asking.photograph.width, (y1 - y2) * asking.photograph.height


def _clear(asking: Asking, one: LabelledBox, other: LabelledBox) -> str | None:
    """Where one is, seen from the other; None where that is a matter of taste."""
    dx, dy = _way(asking, one, other)
    far = max(abs(dx), abs(dy)) > FAR * min(asking.photograph.width, asking.photograph.height)
    return direction_of(dx, dy) if far else None


def _pair(asking: Asking) -> tuple[str, str, str] | None:
    """(x, y, where x is, seen from y) of two things that their labels name."""
    if len(asking.singles) < 2:
        return None
    for _ in range(6):
        one, other = pick(asking.rng, asking.singles), pick(asking.rng, asking.singles)
        if where := _clear(asking, one, other):
            return asking.noun(one.label), asking.noun(other.label), where
    return None


def relative(asking: Asking) -> Turn | None:
    """On which side one thing is of another: a choice of two or four, or yes and no."""
    if (pair := _pair(asking)) is None:
        return None
    x, y, where = pair
    draw = asking.rng.random()
    if draw < 0.35:
        asked = where if (true := asking.coin()) else opposite(where)
        return asking.say(YES_NO, x=x, y=y, side=pick(asking.rng, SIDES[asked])), yes(true)
    if draw < 0.75:
        a, b = (where, opposite(where)) if asking.coin() else (opposite(where), where)
        return asking.say(WHICH_SIDE if where in ("left", "right") else WHICH_HEIGHT, x=x, y=y, a=a, b=b), where
    return asking.say(RELATIVE, x=x, y=y), where


def place(asking: Asking) -> Turn | None:
    """In which part of the picture a thing is."""
    if not asking.singles:
        return None
    thing = pick(asking.rng, asking.singles)
    x, y = middle(thing.box)
    noun, draw = asking.noun(thing.label), asking.rng.random()
    if draw < 0.5:
        region = region_of(x, y)
        return None if region is None else (asking.say(REGION, x=noun), region)
    at, templates = (x, THIRDS) if draw < 0.8 else (y, HEIGHTS)
    if any(abs(at - border) < 0.04 for border in (1 / 3, 2 / 3)):
        return None
    names = ("left", "middle", "right") if templates is THIRDS else ("top", "middle", "bottom")
    return asking.say(templates, x=noun), names[int(at * 3)] if at < 1 else names[2]


def beside(asking: Asking) -> Turn | None:
    """What is on one side of a thing, where that is few and clear."""
    if not asking.singles:
        return None
    one, side = pick(asking.rng, asking.singles), pick(asking.rng, DIRECTIONS)
    found = sorted({other.label for other in asking.boxes if other is not one and _clear(asking, other, one) == side})
    if not 1 <= len(found) <= 3:
        return None
    return asking.say(BESIDE, y=asking.noun(one.label), side=SIDES[side][0]), enumerate_words(found)


def larger(asking: Asking) -> Turn | None:
    """Which of two things takes up more of the picture, at least twice as much."""

    def area(one: LabelledBox) -> float:
        return (one.box[2] - one.box[0]) * (one.box[3] - one.box[1])

    pairs = [(a, b) for a, b in permutations(asking.singles[:8], 2) if area(a) > 2 * area(b)]
    if not pairs:
        return None
    nouns = [asking.noun(one.label) for one in pick(asking.rng, pairs)]
    x, y = nouns if asking.coin() else reversed(nouns)
    return asking.say(LARGER, x=x, y=y), nouns[0]
