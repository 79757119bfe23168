"""Questions whose premise is wrong, about what is not in the picture; the answer says so: "There is no red sign." """

from moai.data.drawn.catalog import LIVING
from moai.data.drawn.question import NEGATIVE, Question
from moai.data.drawn.questions import wordings
from moai.data.drawn.questions.asking import Asker, plural_name
from moai.data.drawn.questions.relation_questions import LOOSE
from moai.data.drawn.questions.sign_questions import missing_colours, wrong_colour, wrong_text
from moai.data.drawn.text.words import sign_text
from moai.data.draws import pick
from moai.data.nouns import singular_noun
from moai.data.places import DIRECTIONS, gap

_APART = 0.25


def _denied(asker: Asker, kind: str, form: str, what: str, colours: bool = False, **slots: str) -> Question:
    return Question(kind, asker.say(form, **slots), f"There is no {what}.", (), NEGATIVE, colours)


def _missing(asker: Asker) -> str | None:
    label = asker.absent("adversarial" if asker.coin() else "random")
    return singular_noun(label) if label else None


def _reading(asker: Asker) -> Question | None:
    facts = asker.facts
    if not facts.signs and not facts.has_stop_sign and asker.coin():
        if asker.coin():
            return _denied(asker, "reading", "all text", "text")
        return _denied(asker, "reading", "reading", "sign", sign="the sign")
    if not (missing := missing_colours(asker)):
        return None
    hue = wrong_colour(asker.rng, missing)
    sign = asker.phrase(wordings.SIGN_COLOURED, hue=hue)
    return _denied(asker, "reading", "reading", f"{hue} sign", bool(facts.signs), sign=sign)


def _colour(asker: Asker) -> Question | None:
    facts = asker.facts
    if facts.has_stop_sign:
        return None
    if not facts.signs and asker.coin():
        return _denied(asker, "colour", "colour", "sign", sign="the sign")
    said = wrong_text(asker, pick(asker.rng, facts.signs).text) if facts.signs else sign_text(asker.rng)
    if said is None:
        return None
    sign = asker.phrase(wordings.SIGN_SAYING, text=said)
    return _denied(asker, "colour", "colour", f"sign that says {said}", sign=sign)


def _position(asker: Asker) -> Question | None:
    if (missing := _missing(asker)) is None:
        return None
    if asker.coin():
        return _denied(asker, "position", "region", missing, x=missing)
    if not asker.facts.uniques:
        return None
    pair = [missing, singular_noun(pick(asker.rng, asker.facts.uniques).label)]
    x, y = pair if asker.coin() else reversed(pair)
    return _denied(asker, "position", "relative", missing, x=x, y=y)


def _relation(asker: Asker) -> Question | None:
    facts = asker.facts
    if not facts.layout.relations:
        return None
    subject, predicate, _ = pick(asker.rng, facts.layout.relations)
    living = facts.layout.label_of(subject) in LIVING
    # Something that could stand in this relation, were it there.
    label = asker.absent("adversarial" if asker.coin() else "random")
    if predicate in LOOSE or label is None or (label in LIVING) != living:
        return None
    noun = singular_noun(label)
    return _denied(asker, "relation", "relation object", noun, s=noun, p=predicate)


def _multi_hop(asker: Asker) -> Question | None:
    facts, rng = asker.facts, asker.rng
    # Two-step questions with a right premise are often not to be had, and must not be outnumbered.
    if facts.has_stop_sign or not facts.uniques or asker.coin():
        return None
    thing = pick(rng, facts.uniques)
    noun = singular_noun(thing.label)
    far = all(gap(thing.box, sign.box) > _APART for sign in facts.signs)
    if far and thing.label != "sign":
        sign = asker.phrase(wordings.SIGN_BESIDE, y=noun)
        return _denied(asker, "two_step", "reading", f"sign next to the {noun}", sign=sign)
    if (missing := _missing(asker)) is None:
        return None
    if facts.signs and asker.coin():
        sign = asker.phrase(wordings.SIGN_BESIDE, y=missing)
        return _denied(asker, "two_step", "reading", missing, sign=sign)
    where = asker.direction(pick(rng, DIRECTIONS))
    counted = [name for name, _, _ in asker.countable() if name != missing]
    if not counted:
        return None
    return _denied(
        asker, "two_step", "count on a side", missing, plural=plural_name(pick(rng, counted)), dir=where, y=missing
    )


DENIALS = {
    "position": _position,
    "colour": _colour,
    "reading": _reading,
    "relation": _relation,
    "two_step": _multi_hop,
}
"""How each kind asks about what is not there; None when the scene gives no fair question."""
