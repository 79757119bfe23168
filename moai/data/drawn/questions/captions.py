"""Descriptions of a scene: one sentence, or two to three short ones, always the same for the same Layout."""

from collections import Counter

from moai.data.drawn.facts import MASS_STUFF, Facts
from moai.data.drawn.layout import Layout, Stuff
from moai.data.nouns import counted, enumerate_words, singular_noun, with_article
from moai.data.places import region_of

AT_REGION = {
    "top left": "at the top left", "top": "at the top", "top right": "at the top right", "left": "on the left",
    "center": "in the center", "right": "on the right", "bottom left": "at the bottom left", "bottom": "at the bottom",
    "bottom right": "at the bottom right",
}  # fmt: skip
"""How a sentence says where in the picture something is."""
_MAX_BACKDROPS = 2
# A description with more to read than this says less of the rest, so that it stays a few lines long.
_MANY_SIGNS = 2
_GROUND = frozenset(
    {"grass", "road", "sand", "sea", "floor", "snow", "pavement", "river", "dirt", "platform", "railroad", "water"}
)


def _area(stuff: Stuff) -> float:
    points = stuff.polygon
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, points[1:] + points[:1], strict=True))) / 2


def _named_stuff(label: str) -> str:
    if label in ("sea", "floor"):
        return f"the {label}"
    return label if label in MASS_STUFF else with_article(label)


def _things(layout: Layout) -> str:
    counts = Counter(item.label for item in layout.objects)
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return enumerate_words([counted(label, count) for label, count in ordered]) if ordered else ""


def _stuff(layout: Layout) -> tuple[str, list[str]]:
    """(" on a road" or " in front of a wall", labels of the other stuff); the largest first."""
    named = sorted((part for part in layout.stuff if part.label), key=lambda part: (-_area(part), part.label))
    labels = list(dict.fromkeys(part.label for part in named))
    ground = next((label for label in labels if label in _GROUND), None)
    place = ground or next(iter(labels), None)
    if place is None:
        return "", []
    return f" {'on' if ground else 'in front of'} {_named_stuff(place)}", [label for label in labels if label != place]


def _plates(layout: Layout, says: str) -> str:
    """What every sign says, from left to right."""
    by_place = sorted(layout.signs, key=lambda sign: (sign.center, sign.text))
    plates = [f"{with_article(sign.colour)} sign {says} {sign.text}" for sign in by_place]
    return enumerate_words(plates) if plates else ""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def describe(layout: Layout) -> str:
    """The picture in one sentence: "Two cars and a dog on a road, with a red sign that says OPEN."

    Things are ordered by count, largest first, then by label. Of the stuff only the largest ground is named (or, where
    there is none, the largest stuff, as "in front of"). Signs are ordered from left to right.
    """
    things, (place, _), signs = _things(layout), _stuff(layout), _plates(layout, "that says")
    if things and signs:
        return _sentence(f"{things}{place}, with {signs}")
    if things or signs:
        # The place goes before a sign's text, so that the text stays the last thing said about it.
        return _sentence(f"{things}{place}" if things else f"{place.strip()}, {signs}" if place else signs)
    return _sentence(f"nothing{place}")


def _how_related(facts: Facts) -> str:
    """The first relations between things that their labels name: "the cat is sitting on the bench"."""
    layout, said, subjects = facts.layout, [], set()
    for subject, predicate, target in layout.relations:
        if target >= len(layout.objects) or subject in subjects:
            continue
        if facts.is_unique(subject) and facts.is_unique(target):
            subjects.add(subject)
            s, o = (singular_noun(layout.label_of(index)) for index in (subject, target))
            said.append(f"the {s} is {predicate} the {o}")
    return enumerate_words(said[: 1 if len(layout.signs) >= _MANY_SIGNS else 2]) if said else ""


def _where_one_is(facts: Facts) -> str:
    """Where the first thing is that its label names and whose place is clear."""
    for place in sorted(facts.uniques, key=lambda place: place.label):
        region = region_of(place.x, place.y)
        if region and place.label != "sign":
            return f"the {singular_noun(place.label)} is {AT_REGION[region]}"
    return ""


def describe_at_length(facts: Facts) -> str:
    """The picture in two or three sentences: what is there and in front of what, how things are related (or else where
    one of them is), and what the signs say. Where nothing else is to be said, that there is no sign."""
    layout = facts.layout
    things, (place, others) = _things(layout), _stuff(layout)
    first = f"{things or 'nothing'}{place}"
    if others and len(layout.signs) <= _MANY_SIGNS:
        first += f", with {enumerate_words([_named_stuff(label) for label in others[:_MAX_BACKDROPS]])} behind"
    sentences = [first] if things or not layout.signs or place else []
    if related := _how_related(facts) or _where_one_is(facts):
        sentences.append(related)
    if signs := _plates(layout, "says"):
        sentences.append(signs)
    elif len(sentences) == 1 and not facts.has_stop_sign:
        sentences.append("there is no sign")
    return " ".join(map(_sentence, sentences))
