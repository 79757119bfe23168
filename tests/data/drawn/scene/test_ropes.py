from collections import Counter
from dataclasses import replace

import numpy as np

from moai.data.drawn.questions.ask import ask
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout

LAYOUTS = [sample_layout(seed) for seed in range(400)]
ROPED = [layout for layout in LAYOUTS if layout.ropes]
UNTIED = [layout for layout in LAYOUTS if layout.untied]


def test_about_as_many_pairs_are_tied_as_only_stand_so():
    assert len(ROPED) > 60 and len(UNTIED) > 45
    predicates = Counter(rope.predicate for layout in ROPED for rope in layout.ropes)
    assert set(predicates) == {"holding", "guiding", "pulling", "attached to"}


def test_a_rope_is_the_relation_of_its_two_things_and_without_one_there_is_none():
    for layout in ROPED:
        rope = layout.ropes[0]
        between = [one for one in layout.relations if {one[0], one[2]} == {rope.subject, rope.object}]
        assert between == [(rope.subject, rope.predicate, rope.object)]
    for layout in UNTIED:
        assert layout.untied[0] not in layout.relations


def test_only_the_rope_is_painted_and_it_shows_between_its_things():
    for layout in ROPED[:25]:
        plain = replace(layout, conditions=type(layout.conditions)())
        drawn, bare = render(plain), render(replace(plain, ropes=[]))
        changed = np.abs(drawn.image.astype(int) - bare.image).max(axis=2) > 30
        assert 8 < np.count_nonzero(changed) < 700
        assert (drawn.instances == bare.instances).all()
        assert np.count_nonzero(changed & (drawn.instances == -1)) > 0.6 * np.count_nonzero(changed)


def test_a_small_picture_hardly_shows_it():
    for layout in ROPED[:25]:
        plain = replace(layout, conditions=type(layout.conditions)())
        drawn, bare = (render(one, scale=48 / 384).image.astype(int) for one in (plain, replace(plain, ropes=[])))
        assert np.abs(drawn - bare).max() < 30


def test_whether_two_things_are_joined_is_asked_as_often_with_yes_as_with_no():
    rng = np.random.default_rng(0)
    joined = ("holding", "guiding", "pulling", "attached to")
    answers = Counter(
        question.answer
        for layout in ROPED + UNTIED
        for question in ask(layout, rng, 8, ["relation"])
        if question.is_yes_no and any(predicate in question.question for predicate in joined)
    )
    assert answers.total() > 200 and 0.35 < answers["Yes"] / answers.total() < 0.6
