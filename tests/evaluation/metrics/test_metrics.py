"""Every metric on cases worked out by hand from the published definitions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moai.evaluation.metrics.mme import mme_scores
from moai.evaluation.metrics.multiple_choice import LETTERS, chosen_letter, circular_scores, rotations, unreadable
from moai.evaluation.metrics.pope import pope_scores
from moai.evaluation.metrics.vqa import normalise_answer, vqa_accuracy
from moai.evaluation.metrics.yes_no import first_yes_no, sentence_yes_no


@pytest.mark.parametrize(
    ("text", "first", "sentence"),
    [
        ("Yes", "yes", "yes"),
        ("no.", "no", "no"),
        ("Yes, there is. No doubt.", "yes", "yes"),
        ("No, there is no dog", "no", "no"),
        ("There is not a dog in it", "other", "no"),
        ("A knot", "other", "yes"),
        ("", "other", "yes"),
    ],
)
def test_yes_and_no(text, first, sentence):
    assert (first_yes_no(text), sentence_yes_no(text)) == (first, sentence)


def test_pope_by_hand():
    # 3 true positives, 1 false positive, 2 true negatives, 2 false negatives.
    answers = ["Yes", "yes, a dog", "Yes.", "Yes", "No", "no", "No", "There is not"]
    truths = ["yes", "yes", "yes", "no", "no", "no", "yes", "yes"]
    scores = pope_scores(answers, truths)
    assert scores == pytest.approx(
        {"accuracy": 5 / 8, "precision": 3 / 4, "recall": 3 / 5, "f1": 2 / 3, "yes_ratio": 4 / 8}
    )


def test_pope_without_a_yes_has_no_precision():
    assert pope_scores(["no", "no"], ["yes", "no"]) == {
        "accuracy": 0.5, "precision": 0.0, "recall": 0.0, "f1": 0.0, "yes_ratio": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(("answers", "truths"), [([], []), (["yes"], ["maybe"])])
def test_pope_refuses(answers, truths):
    with pytest.raises(ValueError, match="POPE"):
        pope_scores(answers, truths)


def test_an_answer_file_of_pope_whose_result_is_known(tmp_path):
    # As the authors' evaluate.py scores it: 500 pictures, 6 questions each; always yes gives these by definition.
    truths = ["yes", "no"] * 1500
    scores = pope_scores(["Yes"] * 3000, truths)
    assert scores == pytest.approx({"accuracy": 0.5, "precision": 0.5, "recall": 1.0, "f1": 2 / 3, "yes_ratio": 1.0})


def test_mme_by_hand():
    # Existence: picture 1 both right, picture 2 one right. Count: picture 1 none right.
    answers = ["Yes", "No", "Yes", "Yes", "No", "perhaps"]
    truths = ["yes", "no", "yes", "no", "yes", "no"]
    pairs = [1, 1, 2, 2, 1, 1]
    categories = ["existence"] * 4 + ["count"] * 2
    assert mme_scores(answers, truths, pairs, categories) == {
        "existence": {"accuracy": 75.0, "accuracy_plus": 50.0, "score": 125.0, "pictures": 2},
        "count": {"accuracy": 0.0, "accuracy_plus": 0.0, "score": 0.0, "pictures": 1},
    }


def test_mme_of_a_file_that_is_all_yes():
    # By definition: accuracy 50, no picture with both right, so 50 a category and 500 for ten of them.
    categories = [f"category {number}" for number in range(10) for _ in range(60)]
    pairs = [number // 2 for number in range(600)]
    table = mme_scores(["Yes"] * 600, ["yes", "no"] * 300, pairs, categories)
    assert sum(row["score"] for row in table.values()) == 500


def test_mme_leaves_out_half_a_pair():
    assert mme_scores(["yes"], ["yes"], [1], ["existence"]) == {}


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Two  dogs.", "2 dogs"),
        ("the Cat", "cat"),
        ("dont", "don't"),
        ("$4.99", "$4.99"),
        ("1,000", "1000"),
        ("stop-sign", "stop sign"),
        ("yes !", "yes"),
        ("none", "0"),
        ("9:30", "9:30"),
        ("a\nb", "b"),
    ],
)
def test_answers_are_normalised(text, normal):
    assert normalise_answer(text) == normal


@pytest.mark.parametrize(("agreeing", "accuracy"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_vqa_accuracy_by_hand(agreeing, accuracy):
    # With k of 10 agreeing, k choices leave k - 1 of them and 10 - k leave all k.
    people = ["OPEN"] * agreeing + [f"other {number}" for number in range(10 - agreeing)]
    assert vqa_accuracy("open", people) == pytest.approx(accuracy)


def test_vqa_accuracy_needs_people():
    with pytest.raises(ValueError, match="at least two"):
        vqa_accuracy("open", ["open"])


def test_vqa_accuracy_agrees_with_the_harness():
    module = pytest.importorskip("lmms_eval.tasks._task_utils.vqa_eval_metric")
    process = module.EvalAIAnswerProcessor()
    for text in ("Two dogs", "the Cat", "dont", "$4.99", "stop-sign", "OPEN", "yes", "9:30", "a red, round ball"):
        assert normalise_answer(text) == process(text), text


def test_rotations_are_every_shift_with_the_right_letter():
    assert rotations(("a", "b", "c"), 2) == [
        (("a", "b", "c"), "C"), (("b", "c", "a"), "B"), (("c", "a", "b"), "A"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"), ("b", "B"), ("(B)", "B"), ("B. dog", "B"), ("B: it is", "B"), ("dog", "B"), ("Dog.", "B"),
        ("B.", "B"), ("b.", "B"), ("**B**", "B"), ("**Answer:** B", "B"), ("Answer: B", "B"), ("The answer is B", "B"),
        ("The answer is (B).", "B"), ("Option B", "B"), ("B: the dog", "B"), ("B because it barks", "B"), ("B。", "B"),
        ("答案是B", "B"), ("Option A is right", "A"), ("The answer is A because it purrs", "A"), ("(a) cat", "A"),
        ("It is a dog", "B"), ("The answer is a dog", "B"), ("Answer: A dog", "B"), ("A dog.", "B"), ("a cat", "A"),
        ("a hot dog", "C"), ("a bird", None), ("A bird", None), ("A cat or a dog", None), ("not a dog", None),
        ("A and B", None), ("Option A is wrong, option B right", None), ("E", None), ("Both", None), ("", None),
    ],
)  # fmt: skip
def test_letters(text, letter):
    assert chosen_letter(text, ("cat", "dog", "hot dog")) == letter


def test_unreadable_answers_are_counted():
    assert unreadable(["B", "a bird", ""], [("cat", "dog")] * 3) == 2


_WORDS = st.lists(st.text("bcdefghijklmnop", min_size=2, max_size=8), min_size=2, max_size=8, unique=True)


@settings(derandomize=True)
@given(_WORDS, st.data())
def test_every_way_to_choose_an_option_is_read_the_same(options, data):
    place = data.draw(st.integers(0, len(options) - 1))
    letter, option = LETTERS[place], options[place]
    for form in (
        "{0}",
        "{0}.",
        "({0})",
        "**{0}**",
        "Answer: {0}",
        "The answer is {0}",
        "Option {0}",
        "{0}: {1}",
        "{1}",
    ):
        assert chosen_letter(form.format(letter, option), options) == letter, form
    for form in ("a {1}", "A {1}", "The answer is a {1}."):
        assert chosen_letter(form.format(letter, option), options) == letter, form
    assert chosen_letter("a zzz", options) is None


def test_circular_by_hand():
    # x right under both shifts, y under one of three, z was asked once of two times.
    right = [True, True, True, False, False, True]
    groups = ["x", "x", "y", "y", "y", "z"]
    assert circular_scores(right, groups, [2, 2, 3, 3, 3, 2]) == {"circular": 0.5, "plain": 0.6, "questions": 2}
