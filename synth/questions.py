"""Questions about a drawn scene, answered from its Layout alone: `ask(layout, rng, 8)`.

The wordings are in `synth.wordings`, scoring in `synth.scoring`.
"""

import re
from collections.abc import Sequence
from functools import cache
from string import Formatter

import numpy as np

from synth import wordings
from synth.asking import (
    COLOURS,
    COUNT_GROUPS,
    DIRECTIONS,
    MAX_COUNT,
    REGIONS,
    Asker,
    Question,
    pick,
    shuffled,
    weighted,
)
from synth.facts import NUMBER_WORDS, describe, singular_noun
from synth.layout import Layout
from synth.relating import PREDICATES, object_of, predicate_of, relation, wrong_predicates
from synth.words import kind_of_text, sign_text

__all__ = ["KINDS", "Question", "ask", "template_words"]

KINDS = ("existence", "count", "position", "colour", "reading", "relation", "choice", "description")
LETTERS = "ABCD"

_KIND_WEIGHTS = {
    "existence": 1.0, "count": 1.0, "position": 1.6, "colour": 0.6,
    "reading": 1.2, "relation": 1.5, "choice": 1.1, "description": 0.4,
}  # fmt: skip
_CHOICE_WEIGHTS = {
    "existence": 1.0, "count": 0.8, "relative": 0.6, "region": 0.8, "colour": 0.7, "reading": 1.0, "relation": 0.8,
}  # fmt: skip


def _misread(rng: np.random.Generator, text: str) -> str:
    """The text with one letter or digit changed for another of its sort, so that only careful reading tells."""
    places = [at for at, character in enumerate(text) if character.isalnum()]
    at = pick(rng, places)
    old = text[at]
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    alphabet = "0123456789" if old.isdigit() else letters if old.isupper() else letters.lower()
    return text[:at] + pick(rng, alphabet.replace(old, "")) + text[at + 1 :]


def _other_texts(asker: Asker, text: str) -> list[str]:
    """Wrong readings: the other signs first, then a misreading, then texts of the same sort and case."""
    rng = asker.rng
    others = [sign.text for sign in asker.facts.signs if sign.text.lower() != text.lower()]
    if rng.random() < 0.3:
        others.append(_misread(rng, text))
    kind = kind_of_text(text)
    split = "heldout" if kind == "unseen word" else "train"
    for _ in range(20):
        if len(others) > 3:
            break
        other = sign_text(rng, split)
        if kind_of_text(other) == kind:
            others.append(other.upper() if text.isupper() else other.lower() if text.islower() else other)
    return others


def _choice_content(asker: Asker, about: str) -> tuple[str, str, list[str]] | None:
    """(question, right option, wrong options in order of preference) of a multiple-choice question."""
    rng, facts = asker.rng, asker.facts
    if about == "existence":
        if not facts.counts:
            return None
        wrong = [asker.absent("adversarial" if asker.coin() else "random") for _ in range(4)]
        return asker.say("choice"), pick(rng, list(facts.counts)), [label for label in wrong if label]
    if about == "count":
        if (found := asker.count_of()) is None:
            return None
        noun, count, _ = found
        near = sorted((n for n in range(MAX_COUNT + 2) if n != count), key=lambda n: abs(n - count) + rng.random())
        return asker.say("count", plural=noun), str(count), [str(n) for n in near]
    if about == "relative":
        if (pair := asker.pair()) is None:
            return None
        return asker.say("relative", x=pair[0], y=pair[1]), pair[2], shuffled(rng, DIRECTIONS)
    if about == "region":
        if (placed := asker.placed()) is None:
            return None
        return asker.say("region", x=placed[0]), placed[1], shuffled(rng, REGIONS)
    if about == "colour":
        if (named := asker.colour_of()) is None:
            return None
        return asker.say("colour", sign=named[1]), named[0].colour, shuffled(rng, COLOURS)
    if about == "reading":
        if (read := asker.text_of()) is None:
            return None
        return asker.say("reading", sign=read[1]), read[0].text, _other_texts(asker, read[0].text)
    if not facts.layout.relations:
        return None
    if asker.coin():
        if (known := object_of(asker)) is None:
            return None
        (subject, predicate, _), label = known
        noun = singular_noun(facts.layout.label_of(subject))
        others = [*facts.counts, *facts.stuff]
        related = {facts.layout.label_of(o) for s, _, o in facts.layout.relations if s == subject}
        related.add(facts.layout.label_of(subject))
        wrong = shuffled(rng, [other for other in others if other not in related])
        return asker.say("relation object", s=noun, p=predicate), label, wrong
    if (triple := predicate_of(asker)) is None:
        return None
    s, o = (singular_noun(facts.layout.label_of(index)) for index in (triple[0], triple[2]))
    return asker.say("relation predicate", s=s, o=o), triple[1], shuffled(rng, wrong_predicates(asker, triple))


def _choice(asker: Asker) -> Question | None:
    rng = asker.rng
    about = weighted(rng, tuple(_CHOICE_WEIGHTS), tuple(_CHOICE_WEIGHTS.values()))
    if (content := _choice_content(asker, about)) is None:
        return None
    text, right, wrong = content
    # Options that differ in case alone would be one option to a reader.
    distinct = {option.lower(): option for option in reversed(wrong) if option.lower() != right.lower()}
    wrong = list(reversed(distinct.values()))[: weighted(rng, (1, 2, 3), (0.2, 0.25, 0.55))]
    if not wrong:
        return None
    at = int(rng.random() * (len(wrong) + 1))
    options = shuffled(rng, wrong)
    options.insert(at, right)
    frame = pick(rng, ("{}. {}", "{}. {}", "{}. {}", "{}) {}", "({}) {}"))
    lines = "\n".join(frame.format(letter, option) for letter, option in zip(LETTERS, options, strict=False))
    text = f"{text}\n{lines}{asker.phrase(wordings.CHOICE_SUFFIX)}"
    return Question("choice", text, LETTERS[at], tuple(options), about)


def _description(asker: Asker) -> Question:
    return Question("description", asker.say("description"), describe(asker.facts.layout))


_MAKERS = {
    "existence": Asker.existence,
    "count": Asker.count,
    "position": Asker.position,
    "colour": Asker.colour,
    "reading": Asker.reading,
    "relation": relation,
    "choice": _choice,
    "description": _description,
}


def ask(
    layout: Layout,
    rng: np.random.Generator,
    count: int,
    kinds: Sequence[str] | None = None,
    wording: str = "train",
) -> list[Question]:
    """Up to `count` different questions about a scene, each with its one right answer.

    `kinds` restricts the kinds (default: all of KINDS, each about as often as the scene allows); fewer questions come
    back when the scene has no more of them to ask, as of signs where there is none. `wording` is "train" or "heldout";
    the two share no template. Raises ValueError for an unknown kind or wording.
    """
    kinds = tuple(kinds) if kinds is not None else KINDS
    if unknown := [kind for kind in kinds if kind not in _MAKERS]:
        raise ValueError(f"unknown kinds of question {unknown}; known are {', '.join(KINDS)}")
    if wording not in ("train", "heldout"):
        raise ValueError(f"wording must be 'train' or 'heldout', got {wording!r}")
    asker = Asker(layout, rng, wording)
    weights = [_KIND_WEIGHTS[kind] for kind in kinds]
    questions: dict[tuple[str, str], Question] = {}
    described = False
    for _ in range(8 * count):
        if len(questions) == count:
            break
        kind = weighted(rng, kinds, weights)
        if kind == "description" and described and len(kinds) > 1:
            continue
        question = _MAKERS[kind](asker)
        if question is not None:
            described |= kind == "description"
            questions.setdefault((question.kind, question.question), question)
    return list(questions.values())


@cache
def template_words() -> frozenset[str]:
    """Every word that questions and answers can hold apart from labels and sign texts, in the case in which it occurs.

    Words are runs of letters; digits are single characters; punctuation and the line break are left to the tokenizer.
    """
    texts: list[str] = [*wordings.PICTURE, *wordings.COLOUR]
    phrases = [*wordings.FORMS.values(), *wordings.DIRECTIONS.values(), *wordings.SIGN_AT.values()]
    phrases += [wordings.SIGN_SAYING, wordings.SIGN_COLOURED, wordings.CHOICE_SUFFIX]
    for phrase in phrases:
        for template in phrase.train + phrase.heldout:
            texts += [literal for literal, *_ in Formatter().parse(template)]
    texts += [*COLOURS, *DIRECTIONS, *REGIONS, *PREDICATES, *NUMBER_WORDS, *(word.title() for word in NUMBER_WORDS)]
    texts += ["Yes No a an any the A An The Nothing nothing on On in In front of with sign that says and"]
    texts += [name for name, *_ in COUNT_GROUPS]
    texts += ["pair pairs bunch bunches loaf loaves piece pieces of", " ".join(LETTERS), "0 1 2 3 4 5 6 7 8 9"]
    return frozenset(re.findall("[A-Za-z]+|[0-9]", " ".join(texts)))
