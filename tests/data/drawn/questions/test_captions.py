import re

import numpy as np
import pytest

from moai.data.drawn.facts import Facts
from moai.data.drawn.layout import Layout
from moai.data.drawn.questions.ask import ask
from moai.data.drawn.questions.captions import describe, describe_at_length
from moai.data.drawn.scene.sample import sample_layout
from tests.data.drawn.scenes import ground, sign, street, thing


@pytest.mark.parametrize(
    ("layout", "short", "long"),
    [
        (street(), "Two cars, a bench, a cat and a dog on a road, with a red sign that says OPEN and a blue sign that "
                   "says 42.",
         "Two cars, a bench, a cat and a dog on a road. The cat is sitting on the bench. A red sign says OPEN and a "
         "blue sign says 42."),
        (Layout(0, 320, 240), "Nothing.", "Nothing. There is no sign."),
        (Layout(0, 320, 240, [ground("grass")]), "Nothing on grass.", "Nothing on grass. There is no sign."),
        (Layout(0, 320, 240, [ground("wall")], [thing("apple", 0.5, 0.5)]), "An apple in front of a wall.",
         "An apple in front of a wall. The apple is in the center."),
        (Layout(0, 320, 240, [ground("grass"), ground("sky", 0, 0.5)], [thing("cow", 0.2, 0.8)] * 2),
         "Two cows on grass.", "Two cows on grass, with sky behind. There is no sign."),
        (Layout(0, 320, 240, [], [], [sign("Exit", "orange", 0.5, 0.5)]), "An orange sign that says Exit.",
         "An orange sign says Exit."),
        (Layout(0, 320, 240, [ground("snow")], [], [sign("Exit", "red", 0.5, 0.5)]),
         "On snow, a red sign that says Exit.", "Nothing on snow. A red sign says Exit."),
        (Layout(0, 320, 240, [], [thing("scissors", 0.2, 0.5)] * 3 + [thing("person", 0.5, 0.5)] * 2),
         "Three pairs of scissors and two people.", "Three pairs of scissors and two people. There is no sign."),
    ],
)  # fmt: skip
def test_known_scenes(layout, short, long):
    assert describe(layout) == short and describe_at_length(Facts(layout)) == long
    rng = np.random.default_rng(0)
    said = {(q.detail, q.answer) for q in ask(layout, rng, 12, ["description"])}
    assert said == {("short", short), ("long", long)}


def test_two_or_three_sentences_over_sampled_scenes():
    for seed in range(200):
        layout = sample_layout(seed)
        said = describe_at_length(Facts(layout))
        sentences = re.split(r"(?<=\.)\s+(?=[A-Z])", said)
        # A stop sign leaves nothing to say of signs.
        assert len(sentences) in (2, 3) or (len(sentences) == 1 and "stop sign" in said), said
        assert describe_at_length(Facts(sample_layout(seed))) == said


@pytest.mark.parametrize("wording", ["train", "heldout"])
def test_one_sentence_where_one_is_asked_for(wording):
    rng = np.random.default_rng(0)
    asked = [q for seed in range(60) for q in ask(sample_layout(seed), rng, 4, ["description"], wording)]
    for q in asked:
        if re.search("(?<!than )one sentence|single sentence|caption|short|briefly", q.question.lower()):
            assert q.detail == "short", q
        else:
            assert q.detail == "long", q
