from collections import Counter

from moai.data.drawn.catalog import STUFF_LABELS
from moai.data.drawn.facts import asked_for
from moai.data.drawn.layout import Layout
from tests.data.drawn.asked import LAYOUTS, questions_of


def test_the_answer_is_what_runs_along_the_edge_that_is_named():
    asked = questions_of("surface")
    assert len(asked) > 200
    for layout, question in asked:
        painted = [stuff for stuff in layout.stuff if stuff.label]
        if question.detail == "open":
            assert question.answer in {stuff.label for stuff in painted}
        else:
            named = [label for label in STUFF_LABELS if asked_for(label) in question.question]
            assert len(named) == 1
            if question.answer == "Yes":
                assert named[0] in {stuff.label for stuff in painted}
        edge = max if "bottom" in question.question else min
        if question.detail == "open":
            ys = [y for stuff in painted if stuff.label == question.answer for _, y in stuff.polygon]
            assert edge(ys) == (1.0 if edge is max else 0.0)


def test_yes_and_no_are_about_as_frequent_and_no_surface_is_a_sure_no():
    yes_no = [question for _, question in questions_of("surface") if question.is_yes_no]
    assert 0.4 < sum(question.answer == "Yes" for question in yes_no) / len(yes_no) < 0.6
    by_label = Counter()
    for question in yes_no:
        for label in ("grass", "road", "sand", "snow", "pavement"):
            if asked_for(label) in question.question:
                by_label[label, question.answer] += 1
    assert all(by_label[label, answer] for label in ("grass", "road", "sand") for answer in ("Yes", "No")), by_label


def test_nothing_is_asked_where_the_background_has_no_name():
    bare = [layout for layout in LAYOUTS if not any(stuff.label for stuff in layout.stuff)]
    assert bare and not questions_of("surface", bare)
    assert not questions_of("surface", [Layout(0, 320, 240)])


def test_the_same_seed_asks_the_same():
    assert questions_of("surface", LAYOUTS[:40]) == questions_of("surface", LAYOUTS[:40])
