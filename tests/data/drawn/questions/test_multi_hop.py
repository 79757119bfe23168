import re
from collections import Counter

import numpy as np

from moai.data.drawn.catalog import THING_LABELS
from moai.data.drawn.layout import Layout
from moai.data.drawn.question import NEGATIVE
from moai.data.drawn.questions.ask import ask
from moai.data.drawn.questions.multi_hop import CLASS_NAMES
from moai.data.drawn.scene.sample import sample_layout
from moai.data.nouns import plural_noun, singular_noun
from tests.data.drawn.asked import answers_of, counts_of, labels_in, questions_of, share_of_yes
from tests.data.drawn.scenes import ground, sign, thing

SCENES = [sample_layout(50_000 + seed) for seed in range(900)]


def yard():
    """A cat on a bench in the middle, a tree right of it; a dog far left with a sign, a car far right with another."""
    objects = [
        thing("bench", 0.44, 0.5, 0.1, 0.1),
        thing("cat", 0.44, 0.4, 0.08, 0.1),
        thing("tree", 0.7, 0.5),
        thing("dog", 0.08, 0.5, 0.1, 0.1),
        thing("car", 0.92, 0.5, 0.1, 0.1),
    ]
    signs = [sign("OPEN", "red", 0.1, 0.6), sign("EXIT", "blue", 0.85, 0.1)]
    return Layout(0, 320, 240, [ground("grass", 0.8)], objects, signs, [(1, "sitting on", 0)])


def matching(found, pattern):
    """The answers of all questions with this in them."""
    return {answer for question, answer in found.items() if re.search(pattern, question)}


def test_yard():
    found = answers_of("two_step", yard(), 1200)
    signs = {q: answer for q, answer in found.items() if not re.search("colou?r|how many|number|count", q)}
    assert matching(signs, "sign (next to|beside|near|by) the dog") == {"OPEN"}
    assert matching(signs, "sign (that is )?(below|lower down than) the dog") == {"OPEN"}
    assert matching(found, "colou?r .*sign (next to|beside|near|by) the dog") == {"red"}
    assert matching(found, "how many animals .*left of the tree") == {"2"}
    assert matching(found, "(dogs|cars|cats) .*(above|higher up than) the (car|tree|dog)") == {"0"}
    assert matching(found, "where .*is sitting on") == {"center"}
    assert matching(found, "^is the thing .*is sitting on (to the )?left of the tree") == {"Yes"}
    assert matching(found, "^is the thing .*is sitting on (to the )?right of the tree") == {"No"}
    assert matching(found, "is the thing (next to|beside|near|closest to) the bench an animal") == {"Yes"}
    assert matching(found, "is the thing (next to|beside|near|closest to) the bench a vehicle") == {"No"}
    assert matching(found, "sign (next to|beside|near|by) the tree") <= {"There is no sign next to the tree."}
    assert not matching(found, "^what .*right of the thing"), "a tree and a car are right of the bench"


def test_what_is_beside_the_seat():
    layout = yard()
    del layout.objects[4], layout.signs[1]
    found = answers_of("two_step", layout, 1000)
    assert matching(found, "^what is (to the )?right of the thing") == {"tree"}
    assert not matching(found, "^what is (to the )?left of the thing"), "a dog and, below it, a sign"


def test_counts_on_a_side_are_right_and_not_mostly_none():
    nouns = {label: plural_noun(label) for label in THING_LABELS} | {"animals": "animals", "vehicles": "vehicles"}
    seen = Counter()
    for layout, q in questions_of("two_step", SCENES):
        if q.detail != "count":
            continue
        seen[q.answer] += 1
        label, *others = labels_in(q.question, nouns)
        if others or label in ("animals", "vehicles"):
            continue
        (anchor,) = labels_in(
            re.sub(rf"\b{nouns[label]}\b", "", q.question), {n: singular_noun(n) for n in THING_LABELS}
        )
        boxes = [(item.label, item.box) for item in layout.objects] + [("sign", item.box) for item in layout.signs]
        centres = [(name, (b[0] + b[2]) / 2 * layout.width, (b[1] + b[3]) / 2 * layout.height) for name, b in boxes]
        ((_, x, y),) = [one for one in centres if one[0] == anchor]
        told = re.search(r"\b(left|right|above|below|higher|lower)\b", q.question)[1]
        along = {
            "left": lambda cx, cy, x=x: x - cx, "right": lambda cx, cy, x=x: cx - x,
            "above": lambda cx, cy, y=y: y - cy, "below": lambda cx, cy, y=y: cy - y,
        }[{"higher": "above", "lower": "below"}.get(told, told)]  # fmt: skip
        near = 0.08 * min(layout.width, layout.height)
        assert int(q.answer) == sum(name == label and along(cx, cy) > near for name, cx, cy in centres), q
    assert sum(seen.values()) > 200 and max(seen.values()) < 0.6 * sum(seen.values()), seen


def test_neighbours_are_judged_evenly():
    asked = [q for _, q in questions_of("two_step", SCENES) if q.detail == "class yes/no"]
    assert len(asked) > 60 and 0.35 < share_of_yes(asked) < 0.65
    classes = Counter((name, q.answer) for q in asked for name in CLASS_NAMES if name in q.question)
    assert sum(classes.values()) == len(asked)
    assert all(classes[name, "Yes"] and classes[name, "No"] for name in CLASS_NAMES), classes


def test_every_sort_is_asked_in_both_wordings():
    for wording in ("train", "heldout"):
        sorts = Counter(q.detail for _, q in questions_of("two_step", SCENES, wording=wording))
        wanted = {"reading", "colour", "count", "thing", "region", "side yes/no", "class yes/no", NEGATIVE}
        assert set(sorts) == wanted and min(sorts.values()) > 10, sorts


def test_signs_named_by_a_thing_say_what_is_answered():
    for layout, q in questions_of("two_step", SCENES):
        if q.detail == "reading":
            assert q.answer in [s.text for s in layout.signs] and not counts_of(layout)["stop sign"]
        if q.detail == "colour":
            assert q.colours and q.answer in [s.colour for s in layout.signs]


def test_nothing_is_asked_where_nothing_is():
    assert ask(Layout(0, 320, 240), np.random.default_rng(0), 5, ["two_step"]) == []
