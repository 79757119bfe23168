import re
from collections import Counter
from string import Formatter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.question import NEGATIVE
from moai.data.drawn.questions import wordings
from moai.data.drawn.questions.ask import KINDS, ask, template_words
from moai.data.drawn.questions.typos import slip
from moai.data.nouns import plural_noun
from tests.data.drawn.asked import LAYOUTS
from tests.data.drawn.scenes import street


def test_every_kind_and_form_has_enough_wordings_and_the_held_out_are_others():
    assert set(wordings.KIND_FORMS) == set(KINDS)
    assert {form for forms in wordings.KIND_FORMS.values() for form in forms} == set(wordings.FORMS)
    for forms in wordings.KIND_FORMS.values():
        assert len({t for form in forms for t in wordings.FORMS[form].train}) >= 15
        for form in forms:
            assert len(set(wordings.FORMS[form].train)) >= 12, form
            assert len(set(wordings.FORMS[form].heldout)) >= 4, form
    train = [t for form in wordings.FORMS.values() for t in form.of("varied")]
    held_out = [t for form in wordings.FORMS.values() for t in form.heldout]
    assert not set(train) & set(held_out)
    for part in wordings.PARTS:
        assert not (set(part.of("varied")) & set(part.heldout)) - {""}


def test_held_out_questions_are_never_asked_in_training():
    def shape(template):
        # Labels apart, the words around the slots are what makes a wording.
        return tuple(literal.strip().lower() for literal, *_ in Formatter().parse(template))

    train = {shape(t) for form in wordings.FORMS.values() for t in form.of("varied")}
    assert not train & {shape(t) for form in wordings.FORMS.values() for t in form.heldout}
    rng = np.random.default_rng(0)
    layout = street()
    asked = {w: {q.question for q in ask(layout, rng, 300, wording=w)} for w in wordings.SPLITS}
    assert not (asked["train"] | asked["varied"]) & asked["heldout"]
    assert len(asked["varied"] - asked["train"]) > len(asked["varied"]) / 3


@pytest.mark.parametrize("form", wordings.FORMS)
def test_frames_have_the_slots_of_their_form(form):
    def slots(template):
        return {name for _, name, *_ in Formatter().parse(template) if name} - {"pic", "colour"}

    wording = wordings.FORMS[form]
    known = set().union(*map(slots, wording.train))
    assert wording.varied or form in ("description", "long description")
    for template in wording.varied:
        assert slots(template) <= known and template[0].isupper() and template[-1] in "?."


@given(st.integers(0, 2**32), st.sampled_from([t for f in wordings.FORMS.values() for t in f.train]))
def test_slips_leave_the_slots_and_most_words(seed, template):
    slipped = slip(template, np.random.default_rng(seed))
    assert re.findall(r"\{\w+\}", slipped) == re.findall(r"\{\w+\}", template)
    assert abs(len(slipped.split(" ")) - len(template.split(" "))) <= 1
    left = Counter(re.findall(r"\w+", template.lower())) - Counter(re.findall(r"\w+", slipped.lower()))
    assert left.total() <= 1


@pytest.mark.parametrize("wording", wordings.SPLITS)
def test_template_words_cover_all_that_is_asked_and_answered(wording, monkeypatch):
    monkeypatch.setattr("moai.data.drawn.questions.asking._SLIPS", 0)  # What is mistyped is no word.
    rng = np.random.default_rng(5)
    labels = set(re.findall("[A-Za-z]+", " ".join([*THING_LABELS, *STUFF_LABELS, *map(plural_noun, THING_LABELS)])))
    for layout in LAYOUTS[:150]:
        texts = {part for s in layout.signs for part in re.findall("[A-Za-z]+|[0-9]", s.text)}
        for q in ask(layout, rng, 12, wording=wording):
            if q.kind == "choice" and q.detail == "reading":
                texts |= set(re.findall("[A-Za-z]+", " ".join(q.options)))
            if (q.kind, q.detail) in (("reading", "yes/no"), ("colour", NEGATIVE)):
                continue  # These claim what no sign says.
            words = set(re.findall("[A-Za-z]+|[0-9]", f"{q.question} {q.answer}"))
            assert not words - labels - texts - template_words(), q
