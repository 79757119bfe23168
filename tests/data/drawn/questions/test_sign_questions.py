import re
from collections import Counter
from itertools import pairwise

import numpy as np

from moai.data.drawn.layout import Layout
from moai.data.drawn.question import COLOURS, NEGATIVE
from moai.data.drawn.questions.ask import ask
from moai.data.drawn.questions.sign_questions import alike, misread
from moai.data.drawn.render.signs import COLOURS as PLATES
from moai.data.drawn.scene.sample import sample_layout
from moai.data.drawn.text.words import is_held_out, kind_of_text, look_alikes
from tests.data.drawn.asked import answers_of, questions_of, share_of_yes
from tests.data.drawn.scenes import sign, street, thing

SCENES = [sample_layout(40_000 + seed) for seed in range(500)]
HUES = "|".join(COLOURS)


def yes_no(kind, wording="train"):
    return [(layout, q) for layout, q in questions_of(kind, SCENES, wording=wording) if q.detail == "yes/no"]


def test_street_signs():
    colours, texts = answers_of("colour", tries=1500), answers_of("reading", tries=1500)
    assert colours["what color is the sign that says open?"] == "red"
    assert colours["what colour is the right sign?"] == "blue"
    assert texts["what does the red sign say?"] == "OPEN"
    assert texts["what is written on the sign on the right?"] == "42"
    assert not any(re.search("the sign( in the (picture|image))?[?.]", question) for question in colours | texts)
    assert colours["is the left sign red?"] == "Yes" and colours["is the left sign blue?"] == "No"
    assert texts["does the red sign say open?"] == "Yes" and texts["does the red sign say 42?"] == "No"
    assert texts["is there a sign that says open?"] == "Yes"


def test_stop_sign_makes_signs_ambiguous():
    layout = street()
    layout.objects.append(thing("stop sign", 0.5, 0.5))
    rng = np.random.default_rng(0)
    asked = [q for q in ask(layout, rng, 200, ["reading"]) if q.detail != NEGATIVE and "there" not in q.question]
    assert asked and all(
        "the sign" not in q.question.replace("the sign that says", "") for q in asked if "red" in q.question
    )
    assert not any(re.search("(red sign|sign in red)", q.question) for q in asked)
    assert not any("signs" in question for question in answers_of("count", layout, 200) if "stop" not in question)


def test_all_text_is_read_from_top_to_bottom():
    asked = [(layout, q) for layout, q in questions_of("reading") if q.detail == "all"]
    assert len({len(layout.signs) for layout, _ in asked}) > 2
    for layout, q in asked:
        signs = sorted(layout.signs, key=lambda sign: sign.box[1] + sign.box[3])
        assert q.answer == ", ".join(sign.text for sign in signs) and not q.colours
        assert all(above.box[3] <= below.box[1] for above, below in pairwise(signs))


def test_signs_are_named_without_ambiguity():
    for kind in ("colour", "reading"):
        for layout, q in questions_of(kind):
            if q.detail in (NEGATIVE, "yes/no", "all"):
                continue
            assert [s for s in layout.signs if (s.colour if kind == "colour" else s.text) == q.answer], q
            if q.detail == "alone":
                assert len(layout.signs) == 1
            coloured = re.search(rf"\b({HUES}) sign\b", q.question)
            if kind == "reading" and coloured:
                assert [s.text for s in layout.signs if s.colour == coloured[1]] == [q.answer]
                assert q.colours == (len(layout.signs) > 1)


def test_claimed_colours_are_judged_rightly_and_the_colour_alone_hardly_tells():
    claims = Counter()
    asked = yes_no("colour")
    for layout, q in asked:
        named = re.sub(
            r"the sign (that says|saying|with the text) .{2,14}?(?=[?.,]|$| (is|has|painted|red|in the) )",
            "",
            q.question,
        )
        hue = re.findall(rf"\b({HUES})\b", named)
        if len(hue) == 1:
            claims[hue[0], q.answer] += 1
            if q.answer == "Yes":
                assert hue[0] in [s.colour for s in layout.signs], q
            elif len(layout.signs) == 1:
                assert hue[0] != layout.signs[0].colour, q
        assert q.colours
    assert 0.42 < share_of_yes([q for _, q in asked]) < 0.58
    shares = [claims[hue, "Yes"] / (claims[hue, "Yes"] + claims[hue, "No"]) for hue in COLOURS]
    assert min(shares) > 0.25 and max(shares) < 0.75, claims


def test_claimed_texts_are_judged_rightly_and_their_sort_hardly_tells():
    asked = yes_no("reading")
    sorts = Counter()
    for layout, q in asked:
        there = [s.text for s in layout.signs if re.search(rf"(?<!\w){re.escape(s.text)}(?!\w)", q.question)]
        if q.answer == "Yes":
            assert there, q
        elif len(layout.signs) == 1:
            assert not there, q
    for _, q in asked:
        if said := re.search(r"(?:say|read|says|saying|reads) ([^?.]+)\?", q.question):
            sorts[kind_of_text(said[1]), q.answer] += 1
    assert 0.42 < share_of_yes([q for _, q in asked]) < 0.58
    strings = sorts["string", "Yes"] / (sorts["string", "Yes"] + sorts["string", "No"])
    words = sorts["known word", "Yes"] / (sorts["known word", "Yes"] + sorts["known word", "No"])
    assert strings > 0.25 and 0.4 < words < 0.65, sorts


def test_questions_about_training_signs_show_no_held_out_word():
    for _, q in yes_no("reading"):
        assert not any(
            is_held_out(word) for word in re.findall(r"\b[A-Z]{3,}\b", q.question) if kind_of_text(word) != "string"
        ), q


def test_wrong_texts_are_of_the_same_sort():
    rng = np.random.default_rng(0)
    for text in ("OPEN", "Open", "open", "9:30", "42", "QXZ7", "OLD POST"):
        other = alike(rng, text)
        assert other is None or (kind_of_text(other), other.isupper()) == (kind_of_text(text), text.isupper())
        changed = misread(rng, text)
        assert len(changed) == len(text) and sum(a != b for a, b in zip(changed, text, strict=True)) == 1
    assert look_alikes("stop") == ("shop", "step") and look_alikes("xqz") == ()


def test_a_sign_that_says_yes_is_read_and_not_judged():
    layout = Layout(0, 320, 240, [], [], [sign("Yes", "red", 0.5, 0.5)])
    read = [q for q in ask(layout, np.random.default_rng(0), 30, ["reading"]) if q.detail not in (NEGATIVE, "yes/no")]
    assert read and all(q.answer == "Yes" and not q.is_yes_no for q in read)


def test_colours_are_those_of_plates():
    assert set(COLOURS) == set(PLATES)
