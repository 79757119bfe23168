"""Questions about signs: which colour they have and what they say. A sign is named by what tells it apart."""

from itertools import pairwise

import numpy as np

from moai.data.drawn.layout import Sign
from moai.data.drawn.question import COLOURS, YES_NO, Question, yes
from moai.data.drawn.questions import wordings
from moai.data.drawn.questions.asking import Asker
from moai.data.drawn.text.words import kind_of_text, look_alikes, sign_text
from moai.data.draws import pick, weighted
from moai.data.nouns import with_article
from moai.data.places import middle

_ASKED_YES_NO = 0.3
_EXISTS = 0.35
_ALL_TEXT = 0.15
_NEAR: dict[str, frozenset[str]] = {
    "red": frozenset({"orange", "brown"}),
    "orange": frozenset({"red", "yellow", "brown"}),
    "yellow": frozenset({"orange"}),
    "brown": frozenset({"red", "orange", "black"}),
    "black": frozenset({"brown"}),
    "blue": frozenset({"purple"}),
    "purple": frozenset({"blue"}),
}
"""Colours that a person could take for one another in a dim or noisy picture."""
# Near or on many other colours, these can seldom be denied, so that they are whenever they can.
_DENIED = {"brown": 2.4, "orange": 2.0, "white": 3.0, "black": 2.0, "red": 1.2, "blue": 0.8, "green": 0.55}


# -- naming --------------------------------------------------------------------------------------------------------


def _sign_at(asker: Asker, sign: Sign) -> str | None:
    """The side on which a sign stands clear of every other one."""
    x, y = middle(sign.box)
    others = [middle(other.box) for other in asker.facts.signs if other is not sign]
    sides = []
    for side, value, rest in (("left", x, [o[0] for o in others]), ("top", y, [o[1] for o in others])):
        if value < 0.5 and all(other - value > 0.15 for other in rest):
            sides.append(side)
        elif value > 0.5 and all(value - other > 0.15 for other in rest):
            sides.append({"left": "right", "top": "bottom"}[side])
    return pick(asker.rng, sides) if sides else None


def _named(asker: Asker, sign: Sign, by_colour: bool, by_text: bool) -> tuple[str, str] | None:
    """(noun phrase, how it names) that fits this sign alone; None when there is none."""
    facts, ways = asker.facts, []
    if len(facts.signs) == 1 and not facts.has_stop_sign:
        ways += [("the sign", "alone")] * 2
    colours = [other.colour for other in facts.signs] + ["red"] * facts.has_stop_sign
    if by_colour and colours.count(sign.colour) == 1:
        ways.append((asker.phrase(wordings.SIGN_COLOURED, hue=sign.colour), "by colour"))
    texts = [other.text.lower() for other in facts.signs] + ["stop"] * facts.has_stop_sign
    if by_text and texts.count(sign.text.lower()) == 1:
        ways.append((asker.phrase(wordings.SIGN_SAYING, text=sign.text), "by text"))
    if len(facts.signs) > 1 and not facts.has_stop_sign and (side := _sign_at(asker, sign)):
        ways.append((asker.phrase(wordings.SIGN_AT[side]), "by place"))
    return pick(asker.rng, ways) if ways else None


def colour_of(asker: Asker) -> tuple[Sign, str, str] | None:
    """(sign, its noun phrase, how that names it), never by its colour."""
    if not asker.facts.signs:
        return None
    sign = pick(asker.rng, asker.facts.signs)
    named = _named(asker, sign, by_colour=False, by_text=True)
    return (sign, *named) if named else None


def text_of(asker: Asker) -> tuple[Sign, str, str] | None:
    """(sign, its noun phrase, how that names it), never by its text."""
    if not asker.facts.signs:
        return None
    sign = pick(asker.rng, asker.facts.signs)
    named = _named(asker, sign, by_colour=True, by_text=False)
    return (sign, *named) if named else None


# -- what is not there ---------------------------------------------------------------------------------------------


def missing_colours(asker: Asker) -> list[str]:
    """Colours of which nobody could say that a sign has them."""
    there = {colour for sign in asker.facts.signs for colour in (sign.colour, sign.text_colour)}
    there |= {"red", "white"} if asker.facts.has_stop_sign else set()
    near = frozenset().union(*(_NEAR.get(colour, frozenset()) for colour in there))
    return [colour for colour in COLOURS if colour not in there and colour not in near]


def wrong_colour(rng: np.random.Generator, colours: list[str]) -> str:
    """One of these colours, each denied about as often as it is right."""
    return weighted(rng, colours, [_DENIED.get(colour, 1.0) for colour in colours])


def _in_case_of(text: str, other: str) -> str:
    """The other text in capitals, lower case or with capital initials, as this one is."""
    return other.upper() if text.isupper() else other.lower() if text.islower() else other.title()


def misread(rng: np.random.Generator, text: str) -> str:
    """The text with one letter or digit changed for another of its sort, so that only careful reading tells."""
    at = pick(rng, [at for at, character in enumerate(text) if character.isalnum()])
    old = text[at]
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    alphabet = "123456789" if old.isdigit() else letters if old.isupper() else letters.lower()
    return text[:at] + pick(rng, alphabet.replace(old, "")) + text[at + 1 :]


def alike(rng: np.random.Generator, text: str) -> str | None:
    """Another text of the same sort and case, of the same half of the words; None where no try gives one."""
    kind = kind_of_text(text)
    split = "heldout" if kind == "unseen word" else "train"
    for _ in range(8):
        other = sign_text(rng, split)
        if kind_of_text(other) == kind and (" " in other) == (" " in text) and other.lower() != text.lower():
            return _in_case_of(text, other)
    return None


def wrong_text(asker: Asker, text: str) -> str | None:
    """What no sign says but could: one letter changed, or another text of the same sort; None where no try gives one.

    A word is mostly changed into another word: not being one would give away that it is wrong.
    """
    rng = asker.rng
    other = None
    if rng.random() < 0.45:
        words = look_alikes(text.lower())
        if words:
            other = _in_case_of(text, pick(rng, words))
        elif kind_of_text(text) in ("number", "string") or rng.random() < 0.15:
            other = misread(rng, text)
    other = other or alike(rng, text)
    said = [sign.text.lower() for sign in asker.facts.signs] + ["stop"] * asker.facts.has_stop_sign
    return other if other and other.lower() not in said else None


# -- questions -----------------------------------------------------------------------------------------------------


def colour(asker: Asker) -> Question | None:
    """Which colour a sign has, or whether it has this one, or whether there is a sign of this colour."""
    draw = asker.rng.random()
    if draw < _ASKED_YES_NO * _EXISTS:
        return _colour_exists(asker)
    if (found := colour_of(asker)) is None:
        return None
    sign, noun, how = found
    if draw >= _ASKED_YES_NO:
        return Question("colour", asker.say("colour", sign=noun), sign.colour, detail=how, colours=True)
    others = [other.colour for other in asker.facts.signs if other.colour != sign.colour]
    near = _NEAR.get(sign.colour, frozenset())
    if not others or asker.coin():
        others = [other for other in COLOURS if other not in near and other not in (sign.colour, sign.text_colour)]
    hue = sign.colour if (true := asker.coin()) else wrong_colour(asker.rng, others)
    text = asker.say("colour yes/no", sign=noun, hue=hue)
    return Question("colour", text, yes(true), detail=YES_NO, colours=True)


def _colour_exists(asker: Asker) -> Question | None:
    missing = missing_colours(asker)
    if not asker.facts.signs or not missing or asker.facts.has_stop_sign:
        return None
    hue = pick(asker.rng, asker.facts.signs).colour if (true := asker.coin()) else wrong_colour(asker.rng, missing)
    text = asker.say("existence", a=with_article(f"{hue} sign"))
    return Question("colour", text, yes(true), detail=YES_NO, colours=True)


def reading(asker: Asker) -> Question | None:
    """What a sign says, or whether it says this, or whether one says this, or what all of them say."""
    draw = asker.rng.random()
    if draw < _ASKED_YES_NO * _EXISTS:
        return _text_exists(asker)
    if draw > 1 - _ALL_TEXT:
        return _all_text(asker)
    if (found := text_of(asker)) is None:
        return None
    sign, noun, how = found
    # Where several signs stand, somebody who sees no colours cannot know which is meant.
    colours = how == "by colour" and len(asker.facts.signs) > 1
    if draw >= _ASKED_YES_NO:
        text = asker.say("reading", sign=noun)
        return Question("reading", text, sign.text, detail=kind_of_text(sign.text), colours=colours)
    others = [other.text for other in asker.facts.signs if other.text.lower() != sign.text.lower()]
    wrong = pick(asker.rng, others) if others and asker.coin() else wrong_text(asker, sign.text)
    if wrong is None:
        return None
    text = asker.say("reading yes/no", sign=noun, text=sign.text if (true := asker.coin()) else wrong)
    return Question("reading", text, yes(true), detail=YES_NO, colours=colours)


def _all_text(asker: Asker) -> Question | None:
    """All that is written, from top to bottom; None where signs stand beside one another or there is none."""
    signs = sorted(asker.facts.signs, key=lambda sign: sign.box[1])
    if not signs or asker.facts.has_stop_sign:
        return None
    if any(above.box[3] > below.box[1] for above, below in pairwise(signs)):
        return None
    return Question("reading", asker.say("all text"), ", ".join(sign.text for sign in signs), detail="all")


def _text_exists(asker: Asker) -> Question | None:
    if not asker.facts.signs:
        return None
    text = pick(asker.rng, asker.facts.signs).text
    if (wrong := wrong_text(asker, text)) is None:
        return None
    said = text if (true := asker.coin()) else wrong
    noun = asker.phrase(wordings.SIGN_SAYING, text=said).removeprefix("the ")
    return Question("reading", asker.say("existence", a=f"a {noun}"), yes(true), detail=YES_NO)
