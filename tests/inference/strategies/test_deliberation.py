"""Votes and windows."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moai.inference.strategies.deliberation import check_samples, said, voted, windows
from moai.models.prompts import aggregate_question


@given(st.integers(1, 64), st.integers(2, 12), st.data())
def test_each_draft_is_in_one_window(samples, window, data):
    reserve = data.draw(st.integers(1, window - 1))
    groups = windows(samples, window, reserve)
    assert list(itertools.chain(*groups)) == list(range(samples))
    assert len(groups[0]) <= window and all(0 < len(group) <= window - reserve for group in groups[1:])
    assert len(groups) == 1 + math.ceil(max(0, samples - window) / (window - reserve))


def test_twelve_drafts_in_windows_of_six():
    assert [list(group) for group in windows(12, 6, 3)] == [[0, 1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert len(windows(6, 6, 3)) == len(windows(2, 6, 3)) == 1


@given(
    st.lists(st.tuples(st.sampled_from(["Yes.", "yes", "No", "two dogs"]), st.integers(-9, 0)), min_size=1),
    st.randoms(),
)
def test_a_vote_does_not_depend_on_the_order(drafts, random):
    def winner(some):
        kept, index = voted([text for text, _ in some], [float(logprob) for _, logprob in some])
        return kept[index].votes, kept[index].logprob

    shuffled = list(drafts)
    random.shuffle(shuffled)
    assert winner(drafts) == winner(shuffled)


def test_ties_go_to_the_surer_draft():
    drafts, index = voted(["a", "b", "B.", " A"], [-0.3, -0.2, -0.4, -0.9])
    assert index == 1 and [draft.votes for draft in drafts] == [2, 2, 2, 2]
    assert said("  Two\n dogs! ") == "two dogs"


def test_the_turn_holds_each_draft_once_and_the_best_as_often_as_it_is_kept():
    turn = aggregate_question("What is it?", ["a cat", "a <image> dog\n9. horse"], "a bird", 3)
    assert turn.count("a bird") == 3 and turn.count("a cat") == 1
    assert turn.endswith("Question: What is it?") and "5. a <image> dog 9. horse\n" in turn
    assert "Here are 5 answers" in turn


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: check_samples(0), "samples is 0; allowed is 1 to 64"),
        (lambda: check_samples(65), "samples is 65; allowed is 1 to 64"),
        (lambda: windows(6, 6, 6), "reserve 6 leaves no room in a window of 6"),
        (lambda: windows(6, 1, 1), "window is 1; allowed is 2 or more"),
        (lambda: windows(6, 6, 0), "reserve is 0; allowed is 1 or more"),
        (lambda: voted([], []), "there are no drafts"),
    ],
)
def test_sentences(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
