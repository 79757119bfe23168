"""Questions that find one thing by way of another: "How many animals are left of the tree?"

They are a kind of their own, so that each other kind still shows one ability: what a sign says can be told by whoever
reads, but which sign stands next to the dog only by whoever also sees where things are.
"""

from moai.data.drawn.catalog import FOOD
from moai.data.drawn.facts import Place
from moai.data.drawn.layout import Sign
from moai.data.drawn.question import YES_NO, Question, yes
from moai.data.drawn.questions import wordings
from moai.data.drawn.questions.asking import COUNT_GROUPS, COUNT_WEIGHTS, Asker, plural_name
from moai.data.drawn.questions.relation_questions import object_of
from moai.data.draws import pick, shuffled, weighted
from moai.data.nouns import singular_noun
from moai.data.places import DIRECTIONS, FAR, direction_of, gap, region_of

_NEAR = 0.09
_CLEAR = 0.14
_TRIES = 8
_COUNT_GROUPS = {name: (members, unclear) for name, members, unclear in COUNT_GROUPS}
_FURNITURE = frozenset({"chair", "couch", "bed", "bench", "dining table"})
_CLASSES = {
    # What is asked -> (what surely is one, what a person may call one).
    "an animal": _COUNT_GROUPS["animals"],
    "a vehicle": _COUNT_GROUPS["vehicles"],
    "a piece of furniture": (_FURNITURE, frozenset({"refrigerator", "toilet", "tv", "vase", "potted plant", "clock"})),
    "something to eat": (FOOD - {"mushroom"}, frozenset({"mushroom", "pumpkin", "fish", "crab", "duck", "snail"})),
}
CLASS_NAMES = tuple(_CLASSES)
# Half of all neighbours of a known class are animals; asked for wrongly as often, they are no sure "Yes".
_CLASS_WEIGHTS = {"an animal": 4.0, "a vehicle": 0.6}


def multi_hop(asker: Asker) -> Question | None:
    """One question, or None when the scene has no unambiguous one of the sorts that were picked."""
    for _ in range(2):
        question = weighted(asker.rng, tuple(_MAKERS), tuple(_MAKERS.values()))(asker)
        if question is not None:
            return question
    return None


# -- a sign, by what it stands next to -----------------------------------------------------------------------------


def _sign_by_thing(asker: Asker) -> tuple[Sign, str] | None:
    """(sign, noun phrase that names it by a thing): the one sign next to it, or on this side of it."""
    facts, rng = asker.facts, asker.rng
    things = [place for place in facts.uniques if place.label != "sign"]
    if not facts.signs or not things or facts.has_stop_sign:
        return None
    for _ in range(_TRIES):
        thing = pick(rng, things)
        noun = singular_noun(thing.label)
        if asker.coin():
            ranked = sorted(facts.signs, key=lambda sign: gap(thing.box, sign.box))
            gaps = [gap(thing.box, sign.box) for sign in ranked[:2]] + [1.0]
            if gaps[0] < _NEAR and gaps[1] > gaps[0] + _CLEAR:
                return ranked[0], asker.phrase(wordings.SIGN_BESIDE, y=noun)
            continue
        where = pick(rng, DIRECTIONS)
        sides = [_is_on_side(asker, Place.of("sign", sign.box), thing, where) for sign in facts.signs]
        if None not in sides and sides.count(True) == 1:
            side = asker.direction(where)
            return facts.signs[sides.index(True)], asker.phrase(wordings.SIGN_TOWARDS, dir=side, y=noun)
    return None


def _reading(asker: Asker) -> Question | None:
    if (found := _sign_by_thing(asker)) is None:
        return None
    sign, noun = found
    return Question("two_step", asker.say("reading", sign=noun), sign.text, detail="reading")


def _colour(asker: Asker) -> Question | None:
    if (found := _sign_by_thing(asker)) is None:
        return None
    sign, noun = found
    return Question("two_step", asker.say("colour", sign=noun), sign.colour, detail="colour", colours=True)


# -- what is on one side of a thing --------------------------------------------------------------------------------


def _is_on_side(asker: Asker, one: Place, anchor: Place, where: str) -> bool | None:
    """Whether something is on this side of the anchor; None when it is so for some people and not for others."""
    facts = asker.facts
    dx, dy = facts.towards(one, anchor)
    along = {"left": -dx, "right": dx, "above": -dy, "below": dy}[where]
    near = FAR * min(facts.width, facts.height)
    found = direction_of(dx, dy)
    if found == where:
        # What sits on a chair is no higher up than the chair.
        x1, y1, x2, y2 = anchor.box
        out = {"left": one.x < x1, "right": one.x > x2, "above": one.y < y1, "below": one.y > y2}[where]
        return True if along > near and out else None
    # What is up and to the left is left of it to some; what is straight above it is not.
    return False if along < -near or (found is not None and along < near) else None


def _count(asker: Asker) -> Question | None:
    facts, rng = asker.facts, asker.rng
    countable = asker.countable()
    weights = [COUNT_WEIGHTS[count] for _, count, _ in countable]
    found: dict[int, tuple[str, str, str]] = {}
    for _ in range(_TRIES if facts.uniques and countable else 0):
        anchor, where = pick(rng, facts.uniques), pick(rng, DIRECTIONS)
        name, _, _ = weighted(rng, countable, weights)
        members = _COUNT_GROUPS[name][0] if name in _COUNT_GROUPS else (name,)
        if anchor.label in members:
            continue
        sides = [_is_on_side(asker, place, anchor, where) for place in facts.places if place.label in members]
        if None not in sides:
            found.setdefault(sum(sides), (name, where, anchor.label))
    # On most sides of most things there is nothing of a sort, or one.
    for count, dropped in ((0, 0.7), (1, 0.45)):
        if rng.random() < dropped:
            found.pop(count, None)
    if not found:
        return None
    count = weighted(rng, list(found), [COUNT_WEIGHTS[count] for count in found])
    name, where, label = found[count]
    slots = {"plural": plural_name(name), "dir": asker.direction(where), "y": singular_noun(label)}
    return Question("two_step", asker.say("count on a side", **slots), str(count), detail="count")


def _held(asker: Asker) -> tuple[str, Place, int] | None:
    """(noun phrase, place, index of the subject) of a thing that is named by what something does with it."""
    facts = asker.facts
    things = len(facts.layout.objects)
    triples = [triple for triple in facts.layout.relations if triple[2] < things and facts.is_unique(triple[2])]
    if not triples or (found := object_of(asker, pick(asker.rng, triples))) is None:
        return None
    (subject, predicate, target), _ = found
    noun = asker.phrase(wordings.THING_OF, s=singular_noun(facts.layout.label_of(subject)), p=predicate)
    return noun, facts.places[target], subject


def _on_side(asker: Asker) -> Question | None:
    """What is on one side of a thing that another one sits on, holds or the like."""
    facts, rng = asker.facts, asker.rng
    if (held := _held(asker)) is None:
        return None
    noun, anchor, subject = held
    for where in shuffled(rng, DIRECTIONS):
        sides = [
            (place.label, _is_on_side(asker, place, anchor, where))
            for index, place in enumerate(facts.places)
            if index != subject and place.label != anchor.label
        ]
        there = {label for label, side in sides if side}
        doubtful = {label for label, side in sides if side is None}
        # Signs are large and many: named as often as they are right, "sign" would be the answer to most.
        if there == {"sign"} and rng.random() < 0.6:
            continue
        if len(there) == 1 and doubtful <= there and _is_on_side(asker, facts.places[subject], anchor, where) is False:
            text = asker.say("thing on a side", dir=asker.direction(where), y=noun)
            return Question("two_step", text, there.pop(), detail="thing")
    return None


def _where(asker: Asker) -> Question | None:
    """Where a thing is that another one sits on, holds or the like: in the picture, or seen from a third."""
    if (held := _held(asker)) is None:
        return None
    noun, place, subject = held
    if asker.coin():
        region = region_of(place.x, place.y)
        return Question("two_step", asker.say("region", x=noun), region, detail="region") if region else None
    subject_label = asker.facts.layout.label_of(subject)
    others = [other for other in asker.facts.uniques if other.label not in (place.label, subject_label)]
    if not others:
        return None
    other = pick(asker.rng, others)
    if (where := asker.clearly(place, other)) is None:
        return None
    text, answer = asker.side_yes_no(noun, singular_noun(other.label), where)
    return Question("two_step", text, answer, detail=f"side {YES_NO}")


# -- of which class is the neighbour -------------------------------------------------------------------------------


def _class(asker: Asker) -> Question | None:
    """Whether the one thing next to another is an animal, a vehicle and so on."""
    facts, rng = asker.facts, asker.rng
    for anchor in shuffled(rng, facts.uniques):
        ranked = sorted((gap(anchor.box, place.box), place.label) for place in facts.places if place is not anchor)
        if not ranked or ranked[0][0] >= _NEAR or (len(ranked) > 1 and ranked[1][0] < ranked[0][0] + _CLEAR):
            continue
        label = ranked[0][1]
        own = [name for name, (members, unclear) in _CLASSES.items() if label in members - unclear]
        others = [name for name, (members, unclear) in _CLASSES.items() if label not in members | unclear]
        if own and others and not (own[0] == "an animal" and rng.random() < 0.5):
            weights = [_CLASS_WEIGHTS.get(name, 1.0) for name in others]
            asked = own[0] if (true := asker.coin()) else weighted(rng, others, weights)
            noun = asker.phrase(wordings.THING_BESIDE, y=singular_noun(anchor.label))
            return Question("two_step", asker.say("class yes/no", x=noun, a=asked), yes(true), detail=f"class {YES_NO}")
    return None


_MAKERS = {_reading: 1.2, _colour: 0.5, _count: 1.0, _on_side: 2.0, _where: 2.0, _class: 2.0}
