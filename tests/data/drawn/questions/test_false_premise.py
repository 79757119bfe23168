import re

import numpy as np
import pytest

from moai.data.drawn.catalog import THING_LABELS
from moai.data.drawn.layout import Layout
from moai.data.drawn.question import COLOURS, NEGATIVE
from moai.data.drawn.questions.ask import ask
from moai.data.drawn.questions.false_premise import DENIALS
from moai.data.drawn.scene.sample import sample_layout
from moai.data.drawn.scoring import score
from moai.data.nouns import singular_noun
from tests.data.drawn.asked import LAYOUTS, counts_of, labels_in, questions_of
from tests.data.drawn.scenes import ground, sign, street, thing

SCENES = LAYOUTS + [sample_layout(60_000 + seed) for seed in range(300)]
NOUNS = {label: singular_noun(label) for label in THING_LABELS}


def denied(kind, layouts=SCENES, **options):
    return [(layout, q) for layout, q in questions_of(kind, layouts, **options) if q.detail == NEGATIVE]


def answers(kind, layout):
    rng = np.random.default_rng(0)
    return {q.answer for _ in range(60) for q in ask(layout, rng, 6, [kind]) if q.detail == NEGATIVE}


@pytest.mark.parametrize("kind", DENIALS)
@pytest.mark.parametrize("wording", ["train", "heldout"])
def test_what_is_said_not_to_be_there_is_not(kind, wording):
    asked = denied(kind, wording=wording)
    assert len(asked) > 20
    for layout, q in asked:
        what = re.fullmatch(r"There is no (.+)\.", q.answer)[1]
        assert score(q, q.answer.lower().rstrip(".")) == 1 and score(q, "Yes") == 0
        if text := re.fullmatch("sign that says (.+)", what):
            assert text[1].lower() not in [s.text.lower() for s in layout.signs] and text[1] in q.question
        elif coloured := re.fullmatch(f"({'|'.join(COLOURS)}) sign", what):
            assert coloured[1] not in [s.colour for s in layout.signs]
            assert not (coloured[1] == "red" and counts_of(layout)["stop sign"])
        elif what == "text":
            assert not layout.signs and not counts_of(layout)["stop sign"]
        elif not what.startswith("sign next to"):
            (label,) = labels_in(what, NOUNS)
            assert not counts_of(layout)[label] and NOUNS[label] in q.question


def test_they_are_the_exception_also_where_little_else_can_be_asked():
    signless = [layout for layout in SCENES if not layout.signs]
    for kind in ("reading", "colour"):
        assert len(denied(kind, signless, count=2)) < 0.35 * len(signless)
    for kind in ("position", "relation", "two_step"):
        assert len(denied(kind)) < 0.25 * len(questions_of(kind, SCENES))


def test_naming_a_sign_hardly_tells_that_there_is_none():
    rng = np.random.default_rng(2)
    scenes = [sample_layout(70_000 + seed) for seed in range(400)]
    asked = [q for layout in scenes for q in ask(layout, rng, 10, ["reading", "colour"]) if not q.is_yes_no]
    for named in (rf"the ({'|'.join(COLOURS)}) sign\b", "the sign (that says|saying|with the text) ", "the sign[?.]"):
        group = [q for q in asked if re.search(named, q.question)]
        assert len(group) > 100
        assert 0.03 < sum(q.detail == NEGATIVE for q in group) / len(group) < 0.4, named


def test_known_scenes():
    empty = Layout(0, 320, 240, [ground("grass")], [thing("dog", 0.5, 0.5)])
    assert "There is no sign." in answers("reading", empty) & answers("colour", empty)
    assert "There is no sign next to the dog." in answers("two_step", empty)
    colours = {answer.split()[3] for answer in answers("reading", street())}
    assert colours and not colours & {"red", "blue", "orange", "brown", "purple", "black"}
    near = Layout(0, 320, 240, [], [thing("dog", 0.5, 0.5)], [sign("A1", "red", 0.6, 0.6)])
    assert not any("next to the dog" in answer for answer in answers("two_step", near))


def test_a_stop_sign_is_a_sign():
    layout = Layout(0, 320, 240, [ground("road")], [thing("stop sign", 0.5, 0.5)])
    assert not answers("colour", layout) and "There is no sign." not in answers("reading", layout)
