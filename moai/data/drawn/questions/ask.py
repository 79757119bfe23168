"""Questions about a drawn scene, answered from its Layout alone: `ask(layout, rng, 8)`.

The wordings are in `moai.data.drawn.questions.wordings`, scoring in `moai.data.drawn.scoring`.
"""

import re
from collections.abc import Sequence
from functools import cache
from string import Formatter

import numpy as np

from moai.data.drawn.layout import Layout
from moai.data.drawn.question import COLOURS, LETTERS, Question
from moai.data.drawn.questions import wordings
from moai.data.drawn.questions.asking import COUNT_GROUPS, Asker
from moai.data.drawn.questions.captions import AT_REGION, describe, describe_at_length
from moai.data.drawn.questions.false_premise import DENIALS
from moai.data.drawn.questions.multi_hop import CLASS_NAMES, multi_hop
from moai.data.drawn.questions.multiple_choice import choice
from moai.data.drawn.questions.relation_questions import PREDICATES, relation
from moai.data.drawn.questions.sign_questions import colour, reading
from moai.data.drawn.questions.surfaces import surface
from moai.data.drawn.questions.typos import STRAY_WORDS
from moai.data.draws import weighted
from moai.data.nouns import NUMBER_WORDS
from moai.data.places import DIRECTIONS, REGIONS

__all__ = ["KINDS", "Question", "ask", "template_words"]

_KIND_WEIGHTS = {
    "existence": 1.0, "count": 1.2, "surface": 0.8, "position": 1.6, "colour": 0.8, "reading": 1.4, "relation": 1.5,
    "choice": 1.1, "description": 0.4, "two_step": 1.6,
}  # fmt: skip
KINDS = tuple(_KIND_WEIGHTS)
_NEGATIVES = 0.07
_NEGATIVE_NOW = 0.3


def _description(asker: Asker) -> Question:
    if asker.coin():
        return Question("description", asker.say("description"), describe(asker.facts.layout), detail="short")
    return Question("description", asker.say("long description"), describe_at_length(asker.facts), detail="long")


_MAKERS = {
    "existence": Asker.existence,
    "count": Asker.count,
    "surface": surface,
    "position": Asker.position,
    "colour": colour,
    "reading": reading,
    "relation": relation,
    "choice": choice,
    "description": _description,
    "two_step": multi_hop,
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
    back when the scene has no more of them to ask, as of signs where there is none. `wording` is "train",
    "varied" (those of "train" and many more, now and then written carelessly: what a model should learn from) or
    "heldout", which shares no template with the others. Raises ValueError for an unknown kind or wording.
    """
    kinds = tuple(kinds) if kinds is not None else KINDS
    if unknown := [kind for kind in kinds if kind not in _MAKERS]:
        raise ValueError(f"unknown kinds of question {unknown}; known are {', '.join(KINDS)}")
    if wording not in wordings.SPLITS:
        raise ValueError(f"wording must be one of {', '.join(wordings.SPLITS)}, got {wording!r}")
    asker = Asker(layout, rng, wording)
    weights = [_KIND_WEIGHTS[kind] for kind in kinds]
    # Their number is drawn beforehand: a scene that allows few other questions must not be asked these instead.
    negatives = int(_NEGATIVES * count + rng.random())
    questions: dict[tuple[str, str], Question] = {}
    described = False
    for _ in range(8 * count):
        if len(questions) == count:
            break
        kind = weighted(rng, kinds, weights)
        if kind == "description" and described and len(kinds) > 1:
            continue
        denied = negatives > 0 and kind in DENIALS and rng.random() < _NEGATIVE_NOW
        question = (DENIALS if denied else _MAKERS)[kind](asker)
        if question is not None:
            described |= kind == "description"
            negatives -= denied
            questions.setdefault((question.kind, question.question), question)
    return list(questions.values())


@cache
def template_words() -> frozenset[str]:
    """Every word that questions and answers can hold apart from labels and sign texts, in the case in which it occurs.

    Words are runs of letters; digits are single characters; punctuation and the line break are left to the tokenizer.
    """
    texts: list[str] = [*wordings.PICTURE, *wordings.COLOUR, *STRAY_WORDS]
    templates = [*wordings.BEFORE, *wordings.BEHIND]
    for phrase in (*wordings.FORMS.values(), *wordings.PARTS):
        templates += phrase.train + phrase.heldout + phrase.varied
    literals = [literal for template in templates for literal, *_ in Formatter().parse(template)]
    # A slip may leave the first letter small.
    texts += [*literals, *(literal[:1].lower() + literal[1:] for literal in literals)]
    texts += [*COLOURS, *DIRECTIONS, *REGIONS, *PREDICATES, *NUMBER_WORDS, *(word.title() for word in NUMBER_WORDS)]
    texts += ["Yes No a an any the A An The Nothing nothing on On In in In front of with sign that says and behind"]
    texts += ["There is no next to only Is Are is are", *AT_REGION.values(), *CLASS_NAMES]
    texts += [name for group, *_ in COUNT_GROUPS for name in (group, group.removesuffix("s"))]
    texts += ["pair pairs bunch bunches loaf loaves piece pieces of", " ".join(LETTERS), "0 1 2 3 4 5 6 7 8 9"]
    return frozenset(re.findall("[A-Za-z]+|[0-9]", " ".join(texts)))
