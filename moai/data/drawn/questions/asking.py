"""How single questions about things are made from the Facts of a scene: existence, counts and positions.

A question is only asked when a careful person would give the same answer: things are named by a label that occurs once
and places by a clear margin.
"""

import numpy as np

from moai.data.drawn.catalog import STUFF_LABELS
from moai.data.drawn.facts import GROUPS, Facts, Place, asked_for, confusable
from moai.data.drawn.layout import Layout
from moai.data.drawn.question import MAX_COUNT, YES_NO, Question, yes
from moai.data.drawn.questions import absence, wordings
from moai.data.drawn.questions.typos import slip
from moai.data.draws import pick, weighted
from moai.data.nouns import NUMBER_WORDS, plural_noun, singular_noun
from moai.data.places import direction_of, opposite, region_of

_ANIMALS = frozenset(
    label for name in ("pets and farm", "wild animals", "sea and birds", "insects and sky") for label in GROUPS[name]
) - {"boat", "mouse", "balloon", "kite", "airplane", "helicopter", "rocket", "star", "moon", "sun"}
_VEHICLES = frozenset(GROUPS["vehicles"]) - {"bicycle", "rocket"}
COUNT_GROUPS = (
    # (what is asked for, what counts, what makes the question unclear)
    ("animals", _ANIMALS, frozenset({"dinosaur", "teddy bear", "snowman"})),
    ("vehicles", _VEHICLES, frozenset({"bicycle", "rocket", "skateboard"})),
)
_GROUP_NAMES = frozenset(name for name, *_ in COUNT_GROUPS)
# Scenes hold far more single things than sixes; these weights pull the answers of counting questions apart.
COUNT_WEIGHTS = (0.45, 0.55, 1.2, 2.0, 2.6, 3.0, 3.0)
_COUNTED_YES_NO = 0.3
# How often a number is claimed wrongly: about as often as it is right, so that the number alone tells nothing.
_CLAIMED = (0, 1.0, 0.75, 0.45, 0.35, 0.3, 0.05)
_NONE_AT_ALL = 0.12
_PLAIN, _ACCOMPANIED, _SLIPS = 0.5, 0.06, 0.15


class Asker:
    """Asks about one Layout. Each method named after a kind returns a Question, or None when the scene has no fit."""

    def __init__(self, layout: Layout, rng: np.random.Generator, wording: str):
        self.facts, self.rng, self.wording = Facts(layout), rng, wording

    def say(self, form: str, **slots: str) -> str:
        """A question of this form in one of its wordings."""
        wording = wordings.FORMS[form]
        varied = self.wording == "varied"
        template = self._varied(wording) if varied else pick(self.rng, wording.of(self.wording))
        return template.format(pic=pick(self.rng, wordings.PICTURE), colour=pick(self.rng, wordings.COLOUR), **slots)

    def _varied(self, wording: wordings.Wording) -> str:
        """A plain template or another one, perhaps with words before or behind it and with a slip of the pen."""
        plain = not wording.varied or self.rng.random() < _PLAIN
        template = pick(self.rng, wording.train if plain else wording.varied)
        if self.rng.random() < _ACCOMPANIED:
            template = pick(self.rng, wordings.BEFORE) + template
        elif self.rng.random() < _ACCOMPANIED:
            template += pick(self.rng, wordings.BEHIND)
        return slip(template, self.rng) if self.rng.random() < _SLIPS else template

    def phrase(self, wording: wordings.Wording, **slots: str) -> str:
        """One of the wordings of a part of a question."""
        return pick(self.rng, wording.of(self.wording)).format(**slots)

    def direction(self, where: str) -> str:
        """How a question says "left of" and the like."""
        return self.phrase(wordings.DIRECTIONS[where])

    def coin(self) -> bool:
        """True half of the time."""
        return self.rng.random() < 0.5

    # -- existence ---------------------------------------------------------------------------------------------

    def absent(self, detail: str) -> str | None:
        """A label that is not in the picture, see `moai.data.drawn.questions.absence.absent`."""
        return absence.absent(self.facts, self.rng, detail)

    def present(self, labels: list[str]) -> str:
        """One of the labels that are there."""
        return absence.present(self.rng, labels)

    def existence(self) -> Question | None:
        facts, rng = self.facts, self.rng
        if facts.stuff and rng.random() < 0.1:
            labels = [label for label in STUFF_LABELS if facts.is_absent(label)]
            label = pick(rng, list(facts.stuff)) if (there := self.coin()) else pick(rng, labels)
            return Question("existence", self.say("existence", a=asked_for(label)), yes(there), detail="random")
        detail = weighted(rng, ("random", "popular", "adversarial"), (0.3, 0.2, 0.5))
        present = list(facts.counts)
        if detail == "popular" and not (present := [label for label in present if label in absence.popular()]):
            # Asking for popular labels only where they are missing would make them a sure "No".
            detail, present = "random", list(facts.counts)
        absent = self.absent(detail)
        if not present or absent is None:
            return None
        label = self.present(present) if (there := self.coin()) else absent
        return Question("existence", self.say("existence", a=asked_for(label)), yes(there), detail=detail)

    # -- count -------------------------------------------------------------------------------------------------

    def countable(self) -> list[tuple[str, int, str]]:
        """(label or name of a group, count, detail) of all that is there and can be counted without doubt."""
        facts, found = self.facts, []
        for label, count in facts.counts.items():
            # A bear beside a panda is one bear to some and two to others.
            if count <= MAX_COUNT and not any(other in facts.counts for other in confusable(label)):
                found.append((label, count, "label"))
        for name, members, unclear in COUNT_GROUPS:
            kinds = [label for label in facts.counts if label in members]
            count = sum(facts.counts[label] for label in kinds)
            if len(kinds) > 1 and count <= MAX_COUNT and not any(label in unclear for label in facts.counts):
                found.append((name, count, "group"))
        return found

    def _balanced(self, countable: list[tuple[str, int, str]]) -> tuple[str, int, str] | None:
        """One of these, the counts balanced as well as the scene lets."""
        if not countable:
            return None
        # Most scenes have several signs, which would otherwise be a quarter of all that is counted.
        if self.coin():
            countable = [one for one in countable if one[0] != "sign"] or countable
        counts = list({count: None for _, count, _ in countable})
        wanted = weighted(self.rng, counts, [COUNT_WEIGHTS[count] for count in counts])
        return pick(self.rng, [one for one in countable if one[1] == wanted])

    def count_of(self) -> tuple[str, int, str] | None:
        """(plural noun, count, detail) with the counts balanced as well as the scene lets."""
        countable = self.countable()
        if absent := self.absent("adversarial" if self.coin() else "random"):
            countable.append((absent, 0, "label"))
        if (found := self._balanced(countable)) is None:
            return None
        name, count, detail = found
        return plural_name(name), count, detail

    def count(self) -> Question | None:
        if self.rng.random() < _COUNTED_YES_NO:
            return self._count_yes_no()
        if (found := self.count_of()) is None:
            return None
        noun, count, detail = found
        return Question("count", self.say("count", plural=noun), str(count), detail=detail)

    def _count_yes_no(self) -> Question | None:
        rng, countable = self.rng, self.countable()
        true = self.coin()
        if not true and rng.random() < _NONE_AT_ALL and (absent := self.absent("random")):
            countable = [(absent, 0, "label")]
        if (found := self._balanced(countable)) is None:
            return None
        name, count, detail = found
        others = [n for n in range(1, MAX_COUNT + 1) if 0 < abs(n - count) <= 2]
        claimed = count if true else weighted(rng, others, [_CLAIMED[n] for n in others])
        plural = plural_name(name)
        single = name.removesuffix("s") if detail == "group" else singular_noun(name)
        number = str(claimed) if rng.random() < 0.2 else NUMBER_WORDS[claimed]
        some = f"{number} {single if claimed == 1 else plural}"
        only, verb = (f"only {some}", "is") if claimed == 1 else (some, "are")
        text = self.say(
            "count yes/no", plural=plural, number=number, some=some, only=only, are=verb, Are=verb.capitalize()
        )
        return Question("count", text, yes(true), detail=YES_NO)

    # -- position ----------------------------------------------------------------------------------------------

    def pair(self) -> tuple[str, str, str] | None:
        """(x, y, where x is compared with y) for two things that their labels name."""
        facts, rng = self.facts, self.rng
        if len(facts.uniques) < 2:
            return None
        for _ in range(6):
            a, b = pick(rng, facts.uniques), pick(rng, facts.uniques)
            if where := self.clearly(a, b):
                return singular_noun(a.label), singular_noun(b.label), where
        return None

    def clearly(self, a: Place, b: Place) -> str | None:
        """Where a is, seen from b; None when that is a matter of taste."""
        way = self.facts.towards(a, b)
        return direction_of(*way) if self.facts.is_far(*way) else None

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
        text, answer = self.side_yes_no(x, y, where)
        return Question("position", text, answer, detail=f"relative {YES_NO}")

    def side_yes_no(self, x: str, y: str, where: str) -> tuple[str, str]:
        """Whether x, which is `where` seen from y, is there or on the opposite side: question and answer."""
        true = self.coin()
        asked = where if true else opposite(where)
        return self.say("relative yes/no", x=x, y=y, dir=self.direction(asked)), yes(true)


def plural_name(name: str) -> str:
    """The plural of a label; the name of a group is one already."""
    return name if name in _GROUP_NAMES else plural_noun(name)
