"""Multiple-choice questions: the options behind the letters and the forms in which they are written."""

from moai.data.drawn.question import COLOURS, LETTERS, MAX_COUNT, Question
from moai.data.drawn.questions import wordings
from moai.data.drawn.questions.asking import Asker
from moai.data.drawn.questions.relation_questions import object_of, predicate_of, wrong_predicates
from moai.data.drawn.questions.sign_questions import alike, colour_of, misread, text_of
from moai.data.draws import pick, shuffled, weighted
from moai.data.nouns import singular_noun
from moai.data.places import DIRECTIONS, REGIONS

_WEIGHTS = {
    "existence": 1.0, "count": 0.8, "relative": 0.6, "region": 0.8, "colour": 0.7, "reading": 1.0, "relation": 0.8,
}  # fmt: skip

Content = tuple[str, str, list[str], bool]
"""Question, right option, wrong options in order of preference, and whether colours must be seen to choose."""


def choice(asker: Asker) -> Question | None:
    """One question with two to four options, or None when what was picked gives none."""
    rng = asker.rng
    about = weighted(rng, tuple(_WEIGHTS), tuple(_WEIGHTS.values()))
    if (content := _MAKERS[about](asker)) is None:
        return None
    text, right, wrong, colours = content
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
    return Question("choice", text, LETTERS[at], tuple(options), about, colours)


def _existence(asker: Asker) -> Content | None:
    if not asker.facts.counts:
        return None
    wrong = [asker.absent("adversarial" if asker.coin() else "random") for _ in range(4)]
    return asker.say("choice"), pick(asker.rng, list(asker.facts.counts)), [label for label in wrong if label], False


def _count(asker: Asker) -> Content | None:
    if (found := asker.count_of()) is None:
        return None
    noun, count, _ = found
    near = sorted((n for n in range(MAX_COUNT + 2) if n != count), key=lambda n: abs(n - count) + asker.rng.random())
    return asker.say("count", plural=noun), str(count), [str(n) for n in near], False


def _relative(asker: Asker) -> Content | None:
    if (pair := asker.pair()) is None:
        return None
    return asker.say("relative", x=pair[0], y=pair[1]), pair[2], shuffled(asker.rng, DIRECTIONS), False


def _region(asker: Asker) -> Content | None:
    if (placed := asker.placed()) is None:
        return None
    return asker.say("region", x=placed[0]), placed[1], shuffled(asker.rng, REGIONS), False


def _colour(asker: Asker) -> Content | None:
    if (named := colour_of(asker)) is None:
        return None
    return asker.say("colour", sign=named[1]), named[0].colour, shuffled(asker.rng, COLOURS), True


def _reading(asker: Asker) -> Content | None:
    if (read := text_of(asker)) is None:
        return None
    sign, noun, how = read
    colours = how == "by colour" and len(asker.facts.signs) > 1
    return asker.say("reading", sign=noun), sign.text, _other_texts(asker, sign.text), colours


def _other_texts(asker: Asker, text: str) -> list[str]:
    """Wrong readings: the other signs first, then a misreading, then texts of the same sort and case."""
    rng = asker.rng
    others = [sign.text for sign in asker.facts.signs if sign.text.lower() != text.lower()]
    if rng.random() < 0.3:
        others.append(misread(rng, text))
    while len(others) < 4 and (other := alike(rng, text)):
        others.append(other)
    return others


def _relation(asker: Asker) -> Content | None:
    layout, rng = asker.facts.layout, asker.rng
    if not layout.relations:
        return None
    if asker.coin():
        if (known := object_of(asker)) is None:
            return None
        (subject, predicate, _), label = known
        others = [*asker.facts.counts, *asker.facts.stuff]
        related = {layout.label_of(o) for s, _, o in layout.relations if s == subject} | {layout.label_of(subject)}
        wrong = shuffled(rng, [other for other in others if other not in related])
        return asker.say("relation object", s=singular_noun(layout.label_of(subject)), p=predicate), label, wrong, False
    if (triple := predicate_of(asker)) is None:
        return None
    s, o = (singular_noun(layout.label_of(index)) for index in (triple[0], triple[2]))
    return asker.say("relation predicate", s=s, o=o), triple[1], shuffled(rng, wrong_predicates(asker, triple)), False


_MAKERS = {
    "existence": _existence,
    "count": _count,
    "relative": _relative,
    "region": _region,
    "colour": _colour,
    "reading": _reading,
    "relation": _relation,
}
