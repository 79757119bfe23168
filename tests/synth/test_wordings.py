import re
from string import Formatter

import numpy as np
import pytest

from synth import wordings
from synth.catalog import STUFF_LABELS, THING_LABELS
from synth.facts import plural_noun
from synth.question import NEGATIVE
from synth.questions import KINDS, ask, template_words
from tests.synth.asked import LAYOUTS
from tests.synth.scenes import street


def test_every_kind_and_form_has_enough_wordings_and_the_held_out_are_others():
    assert set(wordings.KIND_FORMS) == set(KINDS)
    assert {form for forms in wordings.KIND_FORMS.values() for form in forms} == set(wordings.FORMS)
    for forms in wordings.KIND_FORMS.values():
        assert len({t for form in forms for t in wordings.FORMS[form].train}) >= 15
        for form in forms:
            assert len(set(wordings.FORMS[form].train)) >= 12, form
            assert len(set(wordings.FORMS[form].heldout)) >= 4, form
    train = [t for form in wordings.FORMS.values() for t in form.train]
    held_out = [t for form in wordings.FORMS.values() for t in form.heldout]
    assert not set(train) & set(held_out)
    for part in wordings.PARTS:
        assert not (set(part.train) & set(part.heldout)) - {""}


def test_held_out_questions_are_never_asked_in_training():
    def shape(template):
        # Labels apart, the words around the slots are what makes a wording.
        return tuple(literal.strip().lower() for literal, *_ in Formatter().parse(template))

    train = {shape(t) for form in wordings.FORMS.values() for t in form.train}
    assert not train & {shape(t) for form in wordings.FORMS.values() for t in form.heldout}
    rng = np.random.default_rng(0)
    layout = street()
    asked = {w: {q.question for q in ask(layout, rng, 300, wording=w)} for w in ("train", "heldout")}
    assert not asked["train"] & asked["heldout"]


@pytest.mark.parametrize("wording", ["train", "heldout"])
def test_template_words_cover_all_that_is_asked_and_answered(wording):
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
