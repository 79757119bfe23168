"""Questions about the relations of a scene: what stands in a relation to what, which relation, and whether it holds."""

from moai.data.drawn.catalog import BOARDS, FOOD, LIVING, MOUNTS, STUFF_LABELS, THING_LABELS, WORN
from moai.data.drawn.facts import inside
from moai.data.drawn.layout import Rope
from moai.data.drawn.question import YES_NO, Question, yes
from moai.data.drawn.questions.asking import Asker
from moai.data.draws import pick
from moai.data.nouns import singular_noun
from moai.data.places import gap, middle
from perception.labels import PSG_PREDICATES as PREDICATES

__all__ = ["LOOSE", "PREDICATES", "object_of", "predicate_of", "relation", "subject_of", "wrong_predicates"]

_SUPPORT = frozenset(
    {"on", "sitting on", "standing on", "lying on", "walking on", "running on", "parked on", "driving on", "riding"}
)
_POSTURES = ("sitting on", "standing on", "lying on", "walking on", "running on")
_AIR = ("over", "flying over", "jumping over")
_ACTS = ("holding", "carrying", "wearing", "riding", "eating")
# What surely does not hold where the key does. Parked and driving, holding and carrying look alike, so neither
# excludes the other; nor does "on" exclude a posture.
_EXCLUDES: dict[str, tuple[str, ...]] = {
    **{posture: (*_POSTURES, "flying over", "wearing", "eating") for posture in _POSTURES},
    **{air: (*_POSTURES, "riding", "wearing", "parked on") for air in _AIR},
    **{act: (*_ACTS, "lying on", "flying over") for act in _ACTS},
    **{other: ("flying over", "wearing", "holding", "eating") for other in ("on", "parked on", "driving on")},
    "holding": ("wearing", "riding", "eating", "lying on", "standing on", "kicking"),
    "carrying": ("wearing", "riding", "eating", "lying on", "standing on", "kicking"),
    "beside": ("riding", "wearing", "holding", "flying over"),
    "in front of": ("riding", "wearing", "holding", "flying over"),
    "in": ("riding", "wearing", "flying over"),
}
_UNUSUAL = ("wearing", "riding", "eating", "lying on")
_THINGS_DO_NOT = ("flying over", "hanging from", "riding", "wearing")
# Position alone makes these hold, also between pairs that no relation lists: "what is the cat beside?" has no one
# answer, and only a clear distance makes them false.
LOOSE = frozenset({"beside", "in front of", "over", "looking at"})
_FAR = LOOSE | {"flying over", "chasing"}
_COMMON = frozenset({"on", "over", "beside", "standing on", "in front of"})
_MAX_LISTED = 10
_ROPES_ASKED = 0.3
_TIED_ASKED, _UNTIED_ASKED = 0.35, 0.7
"""Of the yes-no questions about a scene with two things that a rope joins, or might, how many are about these; those
that it joins are often enough asked about anyway."""

Triple = tuple[int, str, int]


def _some_triple(asker: Asker) -> Triple:
    """A relation of the scene, the ones that half of all scenes have less often than their number, and that of a rope
    more often."""
    layout = asker.facts.layout
    if layout.ropes and asker.rng.random() < _ROPES_ASKED:
        return _triple_of(layout.ropes[0])
    triple = pick(asker.rng, layout.relations)
    if triple[1] in _COMMON and asker.rng.random() < 0.6:
        triple = pick(asker.rng, layout.relations)
    return triple


def _triple_of(rope: Rope) -> Triple:
    return rope.subject, rope.predicate, rope.object


def _noun(asker: Asker, index: int) -> str:
    return singular_noun(asker.facts.layout.label_of(index))


def _implied(asked: str, listed: str) -> bool:
    """True when a relation listed as `listed` also makes the question about `asked` true: what sits on it is on it."""
    return asked == listed or (asked == "on" and listed in _SUPPORT)


def object_of(asker: Asker, triple: Triple | None = None) -> tuple[Triple, str] | None:
    """A relation whose subject is named by its label and which has this one object, with the object's label.

    `triple` is the relation to try; by default one that is drawn.
    """
    layout = asker.facts.layout
    triple = triple or _some_triple(asker)
    subject, predicate, _ = triple
    if predicate in LOOSE or not asker.facts.is_unique(subject):
        return None
    found = {layout.label_of(o) for s, p, o in layout.relations if s == subject and _implied(predicate, p)}
    return (triple, found.pop()) if len(found) == 1 else None


def subject_of(asker: Asker) -> tuple[Triple, str] | None:
    """A relation whose object is named by its label and which has subjects of one label, with that label."""
    layout = asker.facts.layout
    triple = _some_triple(asker)
    _, predicate, target = triple
    # A full list may have been cut short, so that something else also stands in this relation.
    if predicate in LOOSE or not asker.facts.is_unique(target) or len(layout.relations) >= _MAX_LISTED:
        return None
    found = {layout.label_of(s) for s, p, o in layout.relations if o == target and _implied(predicate, p)}
    return (triple, found.pop()) if len(found) == 1 else None


def predicate_of(asker: Asker) -> Triple | None:
    """A relation that is the only one between two things that their labels name."""
    layout = asker.facts.layout
    triple = _some_triple(asker)
    pair = {triple[0], triple[2]}
    if not (asker.facts.is_unique(triple[0]) and asker.facts.is_unique(triple[2])):
        return None
    return triple if sum({s, o} == pair for s, _, o in layout.relations) == 1 else None


def _surely_apart(asker: Asker, subject: int, predicate: str, target: int) -> bool:
    """True when nobody could say that the predicate holds: the two are apart, or the subject is not on this stuff."""
    facts = asker.facts
    box, other = facts.box_of(subject), facts.box_of(target)
    if box is None:
        return False
    if other is not None:
        return gap(box, other) > (0.25 if predicate in _FAR else 0.08)
    if predicate in _FAR:
        return False
    x, y = middle(box)
    label = facts.layout.label_of(target)
    polygons = [stuff.polygon for stuff in facts.layout.stuff if stuff.label == label]
    return not any(inside(point, polygon) for polygon in polygons for point in ((x, y), (x, min(box[3], 0.995))))


def wrong_predicates(asker: Asker, triple: Triple) -> list[str]:
    """Predicates that surely do not hold between the two of which this relation is the only one."""
    subject, predicate, _ = triple
    living = asker.facts.layout.label_of(subject) in LIVING
    others = _EXCLUDES.get(predicate, _UNUSUAL) if living else _THINGS_DO_NOT
    # Whether something over something flies there is a matter of taste.
    return [other for other in others if other != predicate and not (predicate == "over" and other == "flying over")]


# What a false predicate must be about, so that not every one is false on its face.
_SUITS: dict[str, frozenset[str]] = {
    "wearing": frozenset(WORN),
    "eating": frozenset(FOOD),
    "riding": frozenset(MOUNTS | BOARDS | {"car", "bus", "train", "boat", "truck", "tractor"}),
    "holding": frozenset(THING_LABELS),
    "carrying": frozenset(THING_LABELS),
    "kicking": frozenset(THING_LABELS),
    "hanging from": frozenset({"wall", "tree", "balloon", "kite", "helicopter", "ladder"}),
    "walking on": frozenset(STUFF_LABELS),
    "running on": frozenset(STUFF_LABELS),
    "parked on": frozenset(STUFF_LABELS),
}


def _false_object(asker: Asker, triple: Triple) -> Triple | None:
    layout = asker.facts.layout
    subject, predicate, target = triple
    # What stands on the road is not asked to stand on a cup: a false object is stuff or thing as the true one is.
    things, total = len(layout.objects), len(layout.objects) + len(layout.stuff)
    pool = range(things) if target < things else range(things, total)
    related = {o for s, _, o in layout.relations if s == subject} | {s for s, _, o in layout.relations if o == subject}
    fits = [
        other for other in pool
        if other != subject and other not in related and layout.label_of(other) and asker.facts.is_unique(other)
        and _surely_apart(asker, subject, predicate, other)
    ]  # fmt: skip
    return (subject, predicate, pick(asker.rng, fits)) if fits else None


def _false_subject(asker: Asker, triple: Triple) -> Triple | None:
    layout = asker.facts.layout
    subject, predicate, target = triple
    related = {s for s, _, o in layout.relations if o == target} | {o for s, _, o in layout.relations if s == target}
    living = layout.label_of(subject) in LIVING
    fits = [
        other for other in range(len(layout.objects))
        if other != target and other not in related and (layout.label_of(other) in LIVING) == living
        and asker.facts.is_unique(other) and _surely_apart(asker, other, predicate, target)
    ]  # fmt: skip
    return (pick(asker.rng, fits), predicate, target) if fits else None


def _false_predicate(asker: Asker, triple: Triple) -> Triple | None:
    label = asker.facts.layout.label_of(triple[2])
    fits = [p for p in wrong_predicates(asker, triple) if p not in _SUITS or label in _SUITS[p]]
    return (triple[0], pick(asker.rng, fits), triple[2]) if fits else None


def _joined(asker: Asker) -> Question | None:
    """Whether two things are joined that stand as if they were; now and then, and wherever there are none, None."""
    layout = asker.facts.layout
    pairs = [(_triple_of(rope), True) for rope in layout.ropes] + [(triple, False) for triple in layout.untied]
    if not pairs or asker.rng.random() >= (_TIED_ASKED if layout.ropes else _UNTIED_ASKED):
        return None
    (subject, predicate, target), true = pick(asker.rng, pairs)
    if not (asker.facts.is_unique(subject) and asker.facts.is_unique(target)):
        return None
    text = asker.say("relation yes/no", s=_noun(asker, subject), p=predicate, o=_noun(asker, target))
    return Question("relation", text, yes(true), detail=YES_NO)


def relation(asker: Asker) -> Question | None:
    """One question about a relation, or None when the relation that was picked gives no fair one."""
    if not asker.facts.layout.relations:
        return None
    draw = asker.rng.random()
    if draw < 0.25:
        if (found := object_of(asker)) is None:
            return None
        (subject, predicate, _), answer = found
        text = asker.say("relation object", s=_noun(asker, subject), p=predicate)
        return Question("relation", text, answer, detail="object")
    if draw < 0.4:
        if (found := subject_of(asker)) is None:
            return None
        (_, predicate, target), answer = found
        text = asker.say("relation subject", o=_noun(asker, target), p=predicate)
        return Question("relation", text, answer, detail="subject")
    if draw >= 0.6 and (joined := _joined(asker)) is not None:
        return joined
    if (triple := predicate_of(asker)) is None:
        return None
    if draw < 0.6:
        text = asker.say("relation predicate", s=_noun(asker, triple[0]), o=_noun(asker, triple[2]))
        return Question("relation", text, triple[1], detail="predicate")
    # Made before the coin is thrown: scenes that allow no false variant must not give a surplus of "Yes". A false
    # object or subject keeps the predicate, so that the predicate alone tells nothing; a false predicate gives away
    # that scenes rarely show it, so it is the exception.
    makers = [_false_object, _false_subject] if asker.coin() else [_false_subject, _false_object]
    if asker.rng.random() < 0.12:
        makers.insert(0, _false_predicate)
    false = next((made for maker in makers if (made := maker(asker, triple))), None)
    if false is None:
        return None
    subject, predicate, target = triple if (true := asker.coin()) else false
    text = asker.say("relation yes/no", s=_noun(asker, subject), p=predicate, o=_noun(asker, target))
    return Question("relation", text, yes(true), detail=YES_NO)
