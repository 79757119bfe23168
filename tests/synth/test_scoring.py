import numpy as np
import pytest

from synth.questions import Question, ask
from synth.scoring import majority_rate, mentions, normalise, score
from tests.synth.scenes import random_layout


@pytest.mark.parametrize(
    ("kind", "answer", "text", "right"),
    [
        ("existence", "Yes", "yes.", 1), ("existence", "Yes", "Yes, there is a dog.", 1), ("existence", "No", "Yes", 0),
        ("existence", "No", "", 0), ("existence", "No", "not sure", 0),
        ("count", "3", "3", 1), ("count", "3", "Three dogs.", 1), ("count", "0", "none", 1), ("count", "3", "4", 0),
        ("count", "1", "", 0), ("count", "0", "zero", 1), ("count", "3", "13", 0),
        ("position", "top left", "Top-left.", 1), ("position", "center", "the centre", 1),
        ("position", "left", "top", 0), ("position", "Yes", "yes", 1), ("position", "top", "top left", 0),
        ("colour", "red", "RED", 1), ("colour", "red", "dark red", 0),
        ("reading", "OPEN", "open", 1), ("reading", "$4.99", "$4.99.", 1), ("reading", "$4.99", "4.99", 0),
        ("reading", "9:30", "9:30", 1), ("reading", "OLD POST", "old  post", 1), ("reading", "A TEN", "ten", 0),
        ("relation", "bench", "a bench", 1), ("relation", "sitting on", "Sitting on", 1), ("relation", "bench", "", 0),
        ("choice", "B", "B", 1), ("choice", "B", "(b) dog", 1), ("choice", "B", "A", 0), ("choice", "B", "", 0),
    ],
)  # fmt: skip
def test_short_answers(kind, answer, text, right):
    assert score(Question(kind, "?", answer), text) == right


def test_mentions_reads_counts_labels_stuff_and_signs():
    assert mentions("Two hot dogs, a pair of scissors and an apple on a road, with a red sign that says GO ON.") == {
        ("thing", 2, "hot dog"), ("thing", 1, "scissors"), ("thing", 1, "apple"), ("thing", 1, "road"),
        ("sign", "go on", "red"),
    }  # fmt: skip
    assert mentions("3 mice on grass, with a red sign that says A and a blue sign that says B C.") == {
        ("thing", 3, "mouse"), ("thing", 1, "grass"), ("sign", "a", "red"), ("sign", "b c", "blue"),
    }  # fmt: skip
    assert mentions("") == set()


def test_description_is_scored_by_f1():
    question = Question("description", "?", "Two cars and a dog, with a red sign that says OPEN.")
    assert score(question, question.answer.lower()) == 1
    assert score(question, "A dog and two cars, with a red sign that says OPEN.") == 1
    assert score(question, "Two cars and a cat, with a red sign that says OPEN.") == pytest.approx(2 / 3)
    assert score(question, "Three cars.") == 0
    assert score(question, "") == 0
    assert score(Question("description", "?", "Nothing."), "Nothing.") == 1


def test_own_answers_score_one_and_others_mostly_not():
    rng = np.random.default_rng(0)
    questions = [q for seed in range(200) for q in ask(random_layout(seed), rng, 10)]
    assert all(score(q, q.answer) == 1 for q in questions)
    assert all(score(q, "xyz") == 0 for q in questions if q.answer != "Nothing.")


def test_every_description_mentions_all_it_was_made_of():
    for seed in range(200):
        layout = random_layout(seed)
        (question,) = ask(layout, np.random.default_rng(0), 1, ["description"])
        wanted = {("sign", normalise(sign.text), sign.colour) for sign in layout.signs}
        labels = [item.label for item in layout.objects]
        wanted |= {("thing", labels.count(label), label) for label in labels}
        assert wanted <= mentions(question.answer)
        assert len(mentions(question.answer) - wanted) <= 1


def test_majority_rate():
    def some(kind, *answers, detail=""):
        return [Question(kind, "?", answer, (), detail) for answer in answers]

    questions = [*some("count", "1", "1", "2", "3"), *some("colour", "Red", "red", "blue")]
    assert majority_rate(questions) == {"count": 0.5, "colour": pytest.approx(2 / 3)}
    questions = [*some("position", "Yes", "Yes", detail="a"), *some("position", "left", "left", detail="b")]
    assert majority_rate(questions) == {"position": 0.5}
    assert majority_rate(questions, by_detail=True) == {"position": 1.0}
    assert majority_rate([]) == {}
