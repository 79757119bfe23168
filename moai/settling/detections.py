"""Answers about whether something is there, how many there are and what sort it is, weighed with what was detected.

A model that has learned from a few thousand photographs trusts its eyes where a detector knows better. What detection
says of a label has a score that is how often it is right, so it can be added up with what the model finds likely:
log-odds by Bayes' rule, as if the two looked on their own.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from moai.data.nouns import NUMBER_WORDS, plural, plural_noun, singular_noun
from perception.kinds.detection import DETECTION_THRESHOLD
from perception.kinds.possible import POSSIBLE_THRESHOLD
from perception.labels import ANIMALS, FOOD, VEHICLES
from perception.scene import Scene

LONGEST = 40
"""Letters of an answer that may be weighed, at most."""
USUAL = 0.044
"""How often a label is in a photograph before anybody looks: 3.5 of 80 (COCO's training photographs)."""
MISSED = 0.25
"""Chance that one more thing stands there that no box shows: likeliest for the counts of COCO's training photographs,
of 0.15, 0.2, 0.25, 0.3 and 0.4."""
_FAINTEST, _SUREST = 0.1, 0.99
"""Scores of boxes that count for a number, and the highest that any finding may have."""
_MOST = 9
_UNLIKELY = 0.02
"""Numbers with a smaller share of the likeliest one's chance are not compared."""
_SORTS = {"animal": ANIMALS, "vehicle": VEHICLES, "food": FOOD}
_ASIDE = re.compile(r"\b(with yes or no only|yes or no|at least one|(single )?word( or phrase)?( only)?)\b")
"""What is said beside the question, and holds words that would mean something in it."""
_ABOUT = frozenset(
    """
    a an answer any appear appears are at briefly can contain contains could describe directly do does here hi hello i
    image in is it look me on photo photograph photos picture please q question reply s scene see seen shot show shown
    shows some tell thanks that the there this us using visible we with you
    """.split()  # noqa: SIM905
)
"""Words of questions that ask for nothing but whether something is there."""
_THERE = frozenset({"any", "are", "appear", "appears", "contain", "contains", "is", "see", "seen", "show", "shows"})
_ASKED = frozenset({"i", "us", "we", "you"})
"""Who may be asked what they see, but not what they are."""
_NUMBER = _ABOUT | frozenset(["count", "how", "many", "number", "of", "what"])
_SORT = _ABOUT | frozenset(["kind", "of", "sort", "type", "what", "which"])


@dataclass(frozen=True)
class Claim:
    """What a question asks about: `about` is "there", "number" or "sort", and `label` what is to be looked for: a
    label, or the name of a sort."""

    about: str
    label: str


def claim_of(question: str, scene: Scene) -> Claim | None:
    """What a question asks about, where it asks for nothing else, and detection found something to weigh it with;
    None where not, and for experts that do not say how often a label is there."""
    presence = {one.label: one.score for one in scene.part("possible")}
    if not presence:
        return None
    words = _ASIDE.sub(" ", _words(question.replace("<image>", " ")))
    for name, members in _SORTS.items():
        rest = set(words.split()) - {name, f"{name}s"}
        if name in words and rest & {"what", "which"} and rest <= _SORT:
            return Claim("sort", name) if any(presence.get(one, 0) >= DETECTION_THRESHOLD for one in members) else None
    forms = {_words(each): one for one in presence for each in (one, plural(one), singular_noun(one), plural_noun(one))}
    named = [one for one in sorted(forms, key=len, reverse=True) if one and f" {one} " in f" {words} "]
    if not named:
        return None
    label, rest = forms[named[0]], set(f" {words} ".replace(f" {named[0]} ", " ").split())
    if rest <= _ABOUT and rest & _THERE and presence[label] >= POSSIBLE_THRESHOLD:
        return None if rest & _ASKED and not rest & {"see", "seen"} else Claim("there", label)
    boxed = any(one.label == label and one.score >= DETECTION_THRESHOLD for one in scene.detections)
    return Claim("number", label) if rest <= _NUMBER and rest & {"many", "count", "number"} and boxed else None


def _words(text: str) -> str:
    return " ".join(re.findall("[a-z]+", text.lower()))


def weights(claim: Claim, answer: str, scene: Scene) -> dict[str, float]:
    """What detection says, in nats, for each text that could be the answer; nothing where it speaks for the answer
    already, or where that is none that it could speak of. Of a sort, one that is likelier there than not comes instead
    of one that is not."""
    said = answer.strip().rstrip(".")
    if len(answer) > LONGEST or not said:
        return {}
    presence = {one.label: min(one.score, _SUREST) for one in scene.part("possible")}
    if claim.about == "there":
        return {"Yes": _evidence(presence[claim.label]), "No": 0.0} if re.match(r"no\b", said.lower()) else {}
    if claim.about == "sort":
        members = _SORTS[claim.label]
        sure = sorted(one for one in members if presence.get(one, 0) >= DETECTION_THRESHOLD)
        return {} if said.lower() not in members or said.lower() in sure else dict.fromkeys(sure, 0.0)
    number = number_in(said)
    if number is None or number > _MOST:
        return {}
    scores = [min(one.score, _SUREST) for one in scene.detections if one.label == claim.label]
    chances = counts([one for one in scores if one >= _FAINTEST])
    if sum(chances) < 0.5:  # more than can be counted here
        return {}
    style = _in_style(said)
    likely = {each for each, chance in enumerate(chances) if chance > _UNLIKELY * max(chances)}
    return {style[each]: math.log(chances[each]) for each in sorted(likely | {number})}


def _evidence(presence: float) -> float:
    """Nats by which a label is likelier there, after a finding that is right this often."""
    return math.log(presence / (1 - presence)) - math.log(USUAL / (1 - USUAL))


def counts(scores: list[float]) -> np.ndarray:
    """How likely each number of things is, 0 to 9, (10,): each box shows one as often as its score says, and beside
    them stand as many that no box shows, one with the chance `MISSED`, two with its square, and so on."""
    chances = np.zeros(_MOST + 1)
    chances[0] = 1.0
    for one in scores:
        chances = chances * (1 - one) + np.append(0.0, chances[:-1]) * one
    unseen = (1 - MISSED) * MISSED ** np.arange(_MOST + 1)
    return np.convolve(chances, unseen)[: _MOST + 1]


def number_in(said: str) -> int | None:
    """The number that an answer is, and nothing else: in digits, or a word up to nine."""
    if said.isascii() and said.isdigit():
        return int(said)
    word = said.lower()
    return 0 if word in ("zero", "none") else NUMBER_WORDS.index(word) if word in NUMBER_WORDS[1:] else None


def _in_style(said: str) -> Mapping[int, str]:
    """How numbers are written, as the answer is: in digits or in words."""
    if said.isdigit():
        return {number: str(number) for number in range(_MOST + 1)}
    words = ["zero", *NUMBER_WORDS[1 : _MOST + 1]]
    return {number: word.capitalize() if said[:1].isupper() else word for number, word in enumerate(words)}
