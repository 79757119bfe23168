"""How right a free-text answer to a moai.data.drawn question is, and how far guessing the most common answer gets."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.question import NEGATIVE, Question
from moai.data.drawn.questions.captions import AT_REGION
from moai.data.drawn.questions.relation_questions import PREDICATES
from moai.data.nouns import NUMBER_WORDS, plural_noun, singular_noun

_NUMBERS = {word: number for number, word in enumerate(NUMBER_WORDS)} | {"a": 1, "an": 1, "none": 0, "zero": 0}
_SPELLINGS = {"centre": "center", "middle": "center", "grey": "gray"}
_SIGN = re.compile(
    r"\b(\w+) sign (?:that )?says (.+?)(?=(?:,| and) an? \w+ sign (?:that )?says |\.?\s*$|\.\s)", re.DOTALL
)
_EDGES = " \t\r\n.,;:!?\"'`()[]"


def normalise(text: str) -> str:
    """Lower case, single spaces, no punctuation at the edges; what stands inside ("$4.99", "9:30") stays."""
    return " ".join(text.lower().split()).strip(_EDGES)


def _label(text: str) -> str:
    """A short answer without article and hyphens and in American spelling."""
    words = normalise(text).replace("-", " ").split()
    if len(words) > 1 and words[0] in ("a", "an", "the"):
        words = words[1:]
    return " ".join(_SPELLINGS.get(word, word) for word in words)


def _number(text: str) -> int | None:
    words = re.findall(r"\d+|[a-z]+", text.lower())
    if not words:
        return None
    return int(words[0]) if words[0].isdigit() else _NUMBERS.get(words[0])


@cache
def _names() -> dict[str, str]:
    """What a label may be called -> label."""
    names = {}
    for label in (*STUFF_LABELS, *THING_LABELS):
        names |= {noun: label for noun in (label, singular_noun(label), plural_noun(label))}
    return names


@cache
def _patterns() -> tuple[re.Pattern, re.Pattern, re.Pattern]:
    """What finds things with the word before them, relations ("the cat is sitting on the bench") and places."""
    # Longest first, so that "hot dogs" is not read as dogs, nor "sitting on" as on.
    name, predicate, place = (
        "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
        for texts in (_names(), PREDICATES, AT_REGION.values())
    )
    return (
        re.compile(rf"(?:\b(\w+) )?\b({name})\b"),
        re.compile(rf"\b({name}) (?:is|are) ({predicate}) (?:an? |the )?({name})\b"),
        re.compile(rf"\b({name}) (?:is|are) ({place})\b"),
    )


def labels_in(text: str) -> set[str]:
    """The labels of things and stuff that a text names, in singular or plural."""
    return {_names()[name] for _, name in _patterns()[0].findall(text.lower())}


def mentions(description: str) -> set[tuple]:
    """What a description says: ("thing", count, label), stuff included with count 1, ("sign", text, colour),
    ("relation", label, predicate, label) and ("place", label, where)."""
    names = _names()
    things, relations, places = _patterns()
    found = {("sign", normalise(text), colour.lower()) for colour, text in _SIGN.findall(description)}
    plain = _SIGN.sub("", description).lower()
    found |= {("thing", _count(word), names[name]) for word, name in things.findall(plain)}
    found |= {("relation", names[s], predicate, names[o]) for s, predicate, o in relations.findall(plain)}
    return found | {("place", names[name], where) for name, where in places.findall(plain)}


def _count(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS.get(word, 1)


def _f1(wanted: set, given: set) -> float:
    return 2 * len(wanted & given) / (len(wanted) + len(given)) if wanted or given else 1.0


def score(question: Question, text: str) -> float:
    """How right `text` is, 0..1.

    Letters count by the first letter, yes and no by the first word, counts by their first number (digits or words);
    sign texts and other short answers must be equal after `normalise` (labels also without article). A description
    gets the F1 of what it mentions, see `mentions`.
    """
    if question.kind == "description":
        return _f1(mentions(question.answer), mentions(text))
    if question.kind == "choice":
        letter = re.search("[A-Za-z]", text)
        return float(letter is not None and letter[0].upper() == question.answer)
    if question.is_yes_no:
        word = re.search("[A-Za-z]+", text)
        return float(word is not None and word[0].lower() == question.answer.lower())
    if question.detail == NEGATIVE or question.kind == "reading" or question.detail == "reading":
        return float(normalise(text) == normalise(question.answer))
    if question.answer.isdigit():
        return float(_number(text) == int(question.answer))
    return float(_label(text) == _label(question.answer))


def majority_rate(questions: Iterable[Question], by_detail: bool = False) -> dict[str, float]:
    """For every kind, how often its most common answer (normalised) is right, 0..1.

    `by_detail` lets the guess differ with `Question.detail`: a stricter line to beat, since a reader of the question
    alone knows whether yes or no, a side or a region is asked for.
    """
    answers: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
    for question in questions:
        key = question.detail if by_detail else ""
        answers[question.kind][key][normalise(question.answer)] += 1
    return {
        kind: sum(max(counts.values()) for counts in groups.values())
        / sum(sum(counts.values()) for counts in groups.values())
        for kind, groups in answers.items()
    }
