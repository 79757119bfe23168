"""How single questions are made from the Facts of a scene: existence, counts, places and signs.

A question is only asked when a careful person would give the same answer: things are named by a label that occurs once,
signs by what tells them apart, and places by a clear margin.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from synth import wordings
from synth.catalog import STUFF_LABELS, THING_LABELS
from synth.facts import (
    GROUPS,
    Facts,
    asked_for,
    companions,
    confusable,
    middle,
    plural_noun,
    singular_noun,
)
from synth.layout import Layout, Sign
from synth.words import kind_of_text

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white")
"""Every colour that a plate can have."""
DIRECTIONS = ("left", "right", "above", "below")
REGIONS = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")
MAX_COUNT = 6
_SURVEYED = 600
_ROUNDS = 10
# Three scenes of four have a sign and only the fourth can deny it, so present signs are asked for less often.
_SIGN_ASKED = 0.08


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its one right answer.

    `kind` is one of `synth.questions.KINDS`. `options` are the texts behind the letters of a multiple-choice question,
    whose `answer` is the letter; else empty. `detail` says which sort of the kind it is: existence random, popular or
    adversarial (how an absent label is drawn); count label or group; position "relative yes/no", relative or region;
    colour how the sign is named; reading what the sign says (`synth.words.kind_of_text`); relation object, subject,
    predicate or "yes/no"; choice what is chosen.
    """

    kind: str
    question: str
    answer: str
    options: tuple[str, ...] = ()
    detail: str = ""


_ANIMALS = frozenset(
    label for name in ("pets and farm", "wild animals", "sea and birds", "insects and sky") for label in GROUPS[name]
) - {"boat", "mouse", "balloon", "kite", "airplane", "helicopter", "rocket", "star", "moon", "sun"}
_VEHICLES = frozenset(GROUPS["vehicles"]) - {"bicycle", "rocket"}
COUNT_GROUPS = (
    # (what is asked for, what counts, what makes the question unclear)
    ("animals", _ANIMALS, frozenset({"dinosaur", "teddy bear", "snowman"})),
    ("vehicles", _VEHICLES, frozenset({"bicycle", "rocket", "skateboard"})),
)
# Scenes hold far more single things than sixes; these weights pull the answers of counting questions apart.
_COUNT_WEIGHTS = (0.45, 0.55, 1.2, 2.0, 2.6, 3.0, 3.0)


def pick(rng: np.random.Generator, items: Sequence):
    """One item, each as likely."""
    # One float draw costs a fraction of rng.choice or rng.integers, and this module is nearly all single draws.
    return items[int(rng.random() * len(items))]


def weighted(rng: np.random.Generator, items: Sequence, weights: Sequence[float]):
    """One item, as likely as its weight."""
    at = rng.random() * sum(weights)
    for item, weight in zip(items, weights, strict=True):
        at -= weight
        if at < 0:
            return item
    return items[-1]


def yes(true: bool) -> str:
    """ "Yes" or "No"."""
    return "Yes" if true else "No"


def shuffled(rng: np.random.Generator, items: Sequence) -> list:
    """The items in random order, as a new list."""
    items = list(items)
    for last in range(len(items) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        items[last], items[other] = items[other], items[last]
    return items


def region_of(x: float, y: float, margin: float = 0.04) -> str | None:
    """The cell of a 3 x 3 grid that holds a point (shares of width and height); None within `margin` of a border."""
    if any(abs(value - border) < margin for value in (x, y) for border in (1 / 3, 2 / 3)):
        return None
    return REGIONS[min(int(y * 3), 2) * 3 + min(int(x * 3), 2)]


def direction_of(dx: float, dy: float) -> str | None:
    """Where something at (dx, dy) from another is, in pixels, y downwards; None unless one axis clearly dominates."""
    if abs(dx) > 1.6 * abs(dy):
        return "right" if dx > 0 else "left"
    if abs(dy) > 1.6 * abs(dx):
        return "below" if dy > 0 else "above"
    return None


@cache
def _survey() -> tuple[frozenset[str], ...]:
    """The labels of things in each of some sampled scenes."""
    from synth.sample import sample_layout

    layouts = (sample_layout(2**40 + seed) for seed in range(_SURVEYED))
    return tuple(frozenset([i.label for i in made.objects] + ["sign"] * bool(made.signs)) for made in layouts)


@cache
def _popular() -> tuple[str, ...]:
    """The dozen labels that most scenes hold, signs aside: most scenes that hold nothing else popular hold a sign."""
    often = Counter(label for labels in _survey() for label in labels - {"sign"})
    return tuple(sorted(THING_LABELS, key=lambda label: (-often[label], label))[:12])


@cache
def _absent_weights() -> dict[str, dict[str, float]]:
    """For random and for adversarial absent labels, how likely each is to be drawn.

    Set so that every label is asked for about as often where it is missing as where it is there. With even draws, a
    label that many scenes hold (a person) would be a "Yes" for anyone who knows scenes and never looks at the picture.
    """
    present = Counter()
    for labels in _survey():
        present.update({label: _yes_share(label, labels) for label in labels})
    found = {}
    for detail in ("random", "adversarial"):
        weights = {label: present[label] + 0.3 for label in THING_LABELS}
        for _ in range(_ROUNDS):
            absent = Counter()
            for labels in _survey():
                out = labels.union(*(confusable(label) for label in labels))
                pools = [companions(label) for label in labels] if detail == "adversarial" else [THING_LABELS]
                for pool in pools:
                    pool = [label for label in pool if label not in out]
                    scale = len(pools) * sum(weights[label] for label in pool)
                    absent.update({label: weights[label] / scale for label in pool})
            for label in THING_LABELS:
                # Damped and bounded, as 600 scenes say little about a rare label.
                ratio = (present[label] + 1) / (absent[label] + 1)
                weights[label] = min(max(weights[label] * ratio**0.7, 0.05), 1000.0)
        found[detail] = weights
    return found


def _yes_share(label: str, labels: frozenset[str]) -> float:
    share = _SIGN_ASKED / len(labels)
    return share if label == "sign" else (1 - share * ("sign" in labels)) / max(1, len(labels - {"sign"}))


class Asker:
    """Asks about one Layout. Each method named after a kind returns a Question, or None when the scene has no fit."""

    def __init__(self, layout: Layout, rng: np.random.Generator, wording: str):
        self.facts, self.rng, self.wording = Facts(layout), rng, wording

    def say(self, form: str, **slots: str) -> str:
        """A question of this form in one of its wordings."""
        template = pick(self.rng, wordings.FORMS[form].of(self.wording))
        return template.format(pic=pick(self.rng, wordings.PICTURE), colour=pick(self.rng, wordings.COLOUR), **slots)

    def phrase(self, wording: wordings.Wording, **slots: str) -> str:
        """One of the wordings of a part of a question."""
        return pick(self.rng, wording.of(self.wording)).format(**slots)

    def coin(self) -> bool:
        """True half of the time."""
        return self.rng.random() < 0.5

    # -- existence ---------------------------------------------------------------------------------------------

    def absent(self, detail: str) -> str | None:
        """A label that is not in the picture: any one, a popular one, or a companion of something that is there."""
        rng, labels = self.rng, THING_LABELS
        if detail == "adversarial":
            labels = companions(pick(rng, list(self.facts.counts))) if self.facts.counts else ()
        elif detail == "popular":
            labels = _popular()
        weights = _absent_weights()["adversarial" if detail == "adversarial" else "random"]
        labels = [label for label in labels if self.facts.is_absent(label)]
        return weighted(rng, labels, [weights[label] for label in labels]) if labels else None

    def present(self, labels: list[str]) -> str:
        """One of the labels that are there."""
        label = pick(self.rng, labels)
        if label == "sign" and len(labels) > 1 and self.rng.random() > _SIGN_ASKED:
            return pick(self.rng, [other for other in labels if other != "sign"])
        return label

    def existence(self) -> Question | None:
        facts, rng = self.facts, self.rng
        if facts.stuff and rng.random() < 0.1:
            labels = [label for label in STUFF_LABELS if facts.is_absent(label)]
            label = pick(rng, list(facts.stuff)) if (there := self.coin()) else pick(rng, labels)
            return Question("existence", self.say("existence", a=asked_for(label)), yes(there), detail="random")
        detail = weighted(rng, ("random", "popular", "adversarial"), (0.3, 0.2, 0.5))
        present = list(facts.counts)
        if detail == "popular" and not (present := [label for label in present if label in _popular()]):
            # Asking for popular labels only where they are missing would make them a sure "No".
            detail, present = "random", list(facts.counts)
        absent = self.absent(detail)
        if not present or absent is None:
            return None
        label = self.present(present) if (there := self.coin()) else absent
        return Question("existence", self.say("existence", a=asked_for(label)), yes(there), detail=detail)

    # -- count -------------------------------------------------------------------------------------------------

    def count_of(self) -> tuple[str, int, str] | None:
        """(plural noun, count, detail) with the counts balanced as well as the scene lets."""
        facts, rng = self.facts, self.rng
        choices: dict[int, list[tuple[str, str]]] = {}
        for label, count in facts.counts.items():
            # A bear beside a panda is one bear to some and two to others.
            if count <= MAX_COUNT and not any(other in facts.counts for other in confusable(label)):
                choices.setdefault(count, []).append((label, "label"))
        for name, members, unclear in COUNT_GROUPS:
            kinds = [label for label in facts.counts if label in members]
            count = sum(facts.counts[label] for label in kinds)
            if len(kinds) > 1 and count <= MAX_COUNT and not any(label in unclear for label in facts.counts):
                choices.setdefault(count, []).append((name, "group"))
        absent = self.absent("adversarial" if self.coin() else "random")
        if absent:
            choices[0] = [(absent, "label")]
        if not choices:
            return None
        count = weighted(rng, list(choices), [_COUNT_WEIGHTS[count] for count in choices])
        label, detail = pick(rng, choices[count])
        return (label if detail == "group" else plural_noun(label)), count, detail

    def count(self) -> Question | None:
        if (found := self.count_of()) is None:
            return None
        noun, count, detail = found
        return Question("count", self.say("count", plural=noun), str(count), detail=detail)

    # -- position ----------------------------------------------------------------------------------------------

    def pair(self) -> tuple[str, str, str] | None:
        """(x, y, where x is compared with y) for two things that their labels name."""
        facts, rng = self.facts, self.rng
        if len(facts.uniques) < 2:
            return None
        for _ in range(6):
            a, b = pick(rng, facts.uniques), pick(rng, facts.uniques)
            dx, dy = (a.x - b.x) * facts.width, (a.y - b.y) * facts.height
            where = direction_of(dx, dy)
            if where and max(abs(dx), abs(dy)) > 0.08 * min(facts.width, facts.height):
                return singular_noun(a.label), singular_noun(b.label), where
        return None

    def placed(self) -> tuple[str, str] | None:
        """(noun, region) of a thing whose place is clear."""
        for _ in range(4):
            if self.facts.uniques:
                thing = pick(self.rng, self.facts.uniques)
                if region := region_of(thing.x, thing.y):
                    return singular_noun(thing.label), region
        return None

    def position(self) -> Question | None:
        draw = self.rng.random()
        if draw >= 2 / 3:
            if (found := self.placed()) is None:
                return None
            return Question("position", self.say("region", x=found[0]), found[1], detail="region")
        if (pair := self.pair()) is None:
            return None
        x, y, where = pair
        if draw >= 1 / 3:
            return Question("position", self.say("relative", x=x, y=y), where, detail="relative")
        true = self.coin()
        asked = where if true else DIRECTIONS[DIRECTIONS.index(where) ^ 1]
        text = self.say("relative yes/no", x=x, y=y, dir=self.phrase(wordings.DIRECTIONS[asked]))
        return Question("position", text, yes(true), detail="relative yes/no")

    # -- signs -------------------------------------------------------------------------------------------------

    def sign_at(self, sign: Sign) -> str | None:
        """The side on which a sign stands clear of every other one."""
        x, y = middle(sign.box)
        others = [middle(other.box) for other in self.facts.signs if other is not sign]
        sides = []
        for side, value, rest in (("left", x, [o[0] for o in others]), ("top", y, [o[1] for o in others])):
            if value < 0.5 and all(other - value > 0.15 for other in rest):
                sides.append(side)
            elif value > 0.5 and all(value - other > 0.15 for other in rest):
                sides.append({"left": "right", "top": "bottom"}[side])
        return pick(self.rng, sides) if sides else None

    def name_sign(self, sign: Sign, by_colour: bool, by_text: bool) -> tuple[str, str] | None:
        """(noun phrase, how it names) that fits this sign alone; None when there is none."""
        facts, ways = self.facts, []
        if len(facts.signs) == 1 and not facts.has_stop_sign:
            ways += [("the sign", "alone")] * 2
        colours = [other.colour for other in facts.signs] + ["red"] * facts.has_stop_sign
        if by_colour and colours.count(sign.colour) == 1:
            ways.append((self.phrase(wordings.SIGN_COLOURED, hue=sign.colour), "by colour"))
        texts = [other.text.lower() for other in facts.signs] + ["stop"] * facts.has_stop_sign
        if by_text and texts.count(sign.text.lower()) == 1:
            ways.append((self.phrase(wordings.SIGN_SAYING, text=sign.text), "by text"))
        if len(facts.signs) > 1 and not facts.has_stop_sign and (side := self.sign_at(sign)):
            ways.append((self.phrase(wordings.SIGN_AT[side]), "by place"))
        return pick(self.rng, ways) if ways else None

    def colour_of(self) -> tuple[Sign, str, str] | None:
        """(sign, its noun phrase, how that names it), never by its colour."""
        if not self.facts.signs:
            return None
        sign = pick(self.rng, self.facts.signs)
        named = self.name_sign(sign, by_colour=False, by_text=True)
        return (sign, *named) if named else None

    def text_of(self) -> tuple[Sign, str] | None:
        """(sign, its noun phrase), never by its text."""
        if not self.facts.signs:
            return None
        sign = pick(self.rng, self.facts.signs)
        named = self.name_sign(sign, by_colour=True, by_text=False)
        return (sign, named[0]) if named else None

    def colour(self) -> Question | None:
        if (found := self.colour_of()) is None:
            return None
        sign, noun, detail = found
        return Question("colour", self.say("colour", sign=noun), sign.colour, detail=detail)

    def reading(self) -> Question | None:
        if (found := self.text_of()) is None:
            return None
        sign, noun = found
        return Question("reading", self.say("reading", sign=noun), sign.text, detail=kind_of_text(sign.text))
