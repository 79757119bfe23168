import numpy as np
import pytest

from moai.data.drawn.questions.ask import Question, ask
from moai.data.drawn.scoring import majority_rate, mentions, normalise, score
from tests.data.drawn.scenes import random_layout


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


def test_mentions_reads_sentences_in_any_order_relations_and_places():
    said = "A blue sign says B C. The cat is sitting on the bench. Two cars on a road. The dog is at the top left."
    assert mentions(said) == {
        ("sign", "b c", "blue"), ("thing", 1, "cat"), ("relation", "cat", "sitting on", "bench"), ("thing", 1, "bench"),
        ("thing", 2, "car"), ("thing", 1, "road"), ("thing", 1, "dog"), ("place", "dog", "at the top left"),
    }  # fmt: skip
    assert mentions("A dog. There is no sign.") == {("thing", 1, "dog"), ("thing", 0, "sign")}


@pytest.mark.parametrize(
    ("kind", "detail", "answer", "text", "right"),
    [
        ("count", "yes/no", "Yes", "yes", 1), ("count", "yes/no", "No", "2", 0),
        ("reading", "yes/no", "No", "No.", 1), ("reading", "known word", "Yes", "YES", 1),
        ("reading", "known word", "Yes", "Yes, it says so", 0),
        ("reading", "negative", "There is no red sign.", "there is no red sign", 1),
        ("reading", "negative", "There is no red sign.", "There is no sign.", 0),
        ("colour", "negative", "There is no sign that says $4.99.", "There is no sign that says $4.99", 1),
        ("two_step", "count", "2", "Two.", 1), ("two_step", "reading", "42", "42", 1),
        ("two_step", "reading", "A TEN", "ten", 0), ("two_step", "thing", "bench", "The bench.", 1),
        ("two_step", "class yes/no", "Yes", "Yes", 1), ("two_step", "region", "top left", "top-left", 1),
    ],
)  # fmt: skip
def test_short_answers_by_detail(kind, detail, answer, text, right):
    assert score(Question(kind, "?", answer, (), detail), text) == right


def test_description_is_scored_by_f1():
    question = Question("description", "?", "Two cars and a dog, with a red sign that says OPEN.")
    assert score(question, question.answer.lower()) == 1
    assert score(question, "A dog and two cars, with a red sign that says OPEN.") == 1
    assert score(question, "Two cars and a cat, with a red sign that says OPEN.") == pytest.approx(2 / 3)
    assert score(question, "Three cars.") == 0
    assert score(question, "") == 0
    assert score(Question("description", "?", "Nothing."), "Nothing.") == 1
    long = Question("description", "?", "A cat and a bench. The cat is sitting on the bench. A red sign says OPEN.")
    assert score(long, "A red sign says open. A bench and a cat. The cat is sitting on a bench.") == 1
    assert score(long, "A cat and a bench, with a red sign that says OPEN.") == pytest.approx(6 / 7)
    assert score(long, "A cat and a bench. The cat is on the bench. A red sign says OPEN.") == pytest.approx(6 / 8)


def test_own_answers_score_one_and_others_mostly_not():
    rng = np.random.default_rng(0)
    questions = [q for seed in range(200) for q in ask(random_layout(seed), rng, 10)]
    assert all(score(q, q.answer) == 1 for q in questions)
    assert all(score(q, "xyz") == 0 for q in questions if q.answer != "Nothing.")


def test_every_description_mentions_all_it_was_made_of():
    for seed in range(200):
        layout = random_layout(seed)
        wanted = {("sign", normalise(sign.text), sign.colour) for sign in layout.signs}
        labels = [item.label for item in layout.objects]
        wanted |= {("thing", labels.count(label), label) for label in labels}
        stuff = {("thing", 1, part.label) for part in layout.stuff}
        for question in ask(layout, np.random.default_rng(0), 4, ["description"]):
            said = mentions(question.answer)
            assert wanted <= said
            told = {one for one in said - wanted - stuff if one[0] == "thing"}
            assert told <= {("thing", 0, "sign")}, question.answer


def test_majority_rate():
    def some(kind, *answers, detail=""):
        return [Question(kind, "?", answer, (), detail) for answer in answers]

    questions = [*some("count", "1", "1", "2", "3"), *some("colour", "Red", "red", "blue")]
    assert majority_rate(questions) == {"count": 0.5, "colour": pytest.approx(2 / 3)}
    questions = [*some("position", "Yes", "Yes", detail="a"), *some("position", "left", "left", detail="b")]
    assert majority_rate(questions) == {"position": 0.5}
    assert majority_rate(questions, by_detail=True) == {"position": 1.0}
    assert majority_rate([]) == {}
