"""The drawn suite: its documents, and runs of it that resume."""

import json
from collections import Counter

import pytest

from moai.assistant import MoAI
from moai.data.splits import HELD_OUT_SEED
from moai.evaluation.answering import Answerer, Request, Variant
from moai.evaluation.drawn.documents import (
    MME_CATEGORIES,
    PARTS,
    POPE_SETTINGS,
    make_documents,
    scene_image,
    scene_seeds,
)
from moai.evaluation.drawn.run import run_drawn
from moai.evaluation.drawn.scores import drawn_scores
from moai.evaluation.journal import Journal, JournalError


@pytest.fixture(scope="module")
def documents():
    return make_documents(scenes=6)


def test_documents_are_the_same_every_time_and_cover_every_format(documents):
    assert documents == make_documents(scenes=6)
    assert {one.part for one in documents} == set(PARTS)
    assert {one.category for one in documents if one.part == "pope"} == set(POPE_SETTINGS)
    assert {one.category for one in documents if one.part == "mme"} == set(MME_CATEGORIES)
    assert len({one.key for one in documents}) == len(documents) > 80


def test_yes_is_as_often_right_as_no(documents):
    for part in ("pope", "mme"):
        truths = Counter(one.answer for one in documents if one.part == part)
        assert truths["yes"] == truths["no"]


def test_scenes_are_held_out_and_evaluations_share_none():
    assert min(scene_seeds(5)) >= HELD_OUT_SEED
    assert not set(scene_seeds(100_000, 0)) & set(scene_seeds(5, 1))


@pytest.mark.parametrize(
    "settings", [{"scenes": 0}, {"evaluation_seed": -1}, {"limit": 0}, {"parts": ("vizwiz",)}], ids=str
)
def test_documents_refuse(settings):
    with pytest.raises(ValueError):
        make_documents(**{"scenes": 1} | settings)


def test_true_answers_score_best_and_wrong_ones_worst(documents):
    best = drawn_scores(documents, {one.key: one.answer for one in documents})
    assert best["pope"]["accuracy"] == best["pope"]["f1"] == best["textvqa"]["accuracy"] == 100
    assert best["mme"]["score"] == 1200 and best["mmbench"]["circular"] == best["mmbench"]["plain"] == 100
    flipped = {"yes": "No", "no": "Yes"}
    worst = drawn_scores(documents, {one.key: flipped.get(one.answer, "Z") for one in documents})
    assert worst["pope"]["accuracy"] == worst["mme"]["score"] == worst["mmbench"]["plain"] == 0
    assert worst["textvqa"]["accuracy"] == 0


def test_the_same_letter_every_time_wins_no_circle(documents):
    scores = drawn_scores(documents, {one.key: "A" for one in documents if one.part == "mmbench"})
    assert scores["mmbench"]["circular"] == 0 < scores["mmbench"]["plain"]


def answers_in(folder) -> dict[str, str]:
    return {row["key"]: row["answer"] for row in map(json.loads, (folder / "answers.jsonl").read_text().splitlines())}


def test_a_batch_of_eight_answers_as_single_questions(assistant, tmp_path):
    together = run_drawn(assistant, "tiny", tmp_path / "8", limit=5, batch_size=8)
    alone = run_drawn(assistant, "tiny", tmp_path / "1", limit=5, batch_size=1)
    assert answers_in(tmp_path / "8") == answers_in(tmp_path / "1")
    assert together == alone
    assert len(set(answers_in(tmp_path / "8").values())) > 1


def test_a_killed_run_continues_where_it_stopped(assistant, tmp_path, monkeypatch):
    whole = run_drawn(assistant, "tiny", tmp_path / "whole", limit=4, batch_size=4)
    asked = []
    ask_batch = MoAI.ask_batch

    def dying(self, pictures, questions, **settings):
        if len(asked) == 8:
            raise KeyboardInterrupt
        asked.extend(questions)
        return ask_batch(self, pictures, questions, **settings)

    monkeypatch.setattr(MoAI, "ask_batch", dying)
    with pytest.raises(KeyboardInterrupt):
        run_drawn(assistant, "tiny", tmp_path / "cut", limit=4, batch_size=4)
    with (tmp_path / "cut" / "answers.jsonl").open("a") as file:
        file.write('{"key": "pope/1')  # killed in the middle of a line
    rest = []

    def counting(self, pictures, questions, **settings):
        rest.extend(questions)
        return ask_batch(self, pictures, questions, **settings)

    monkeypatch.setattr(MoAI, "ask_batch", counting)
    assert run_drawn(assistant, "tiny", tmp_path / "cut", limit=4, batch_size=4) == whole
    assert len(rest) == len(answers_in(tmp_path / "whole")) - 8


def test_a_folder_of_other_answers_is_refused(assistant, tmp_path):
    run_drawn(assistant, "tiny", tmp_path, limit=1)
    with pytest.raises(JournalError, match="holds answers made with model 'tiny', not 'other'; give another --out"):
        run_drawn(assistant, "other", tmp_path, limit=1)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be kept"):
        Journal(tmp_path / "file", {})


def test_a_journal_is_shared_by_processes(tmp_path):
    Journal(tmp_path, {"a": 1}, rank=0).add([{"key": "x", "answer": "1"}])
    Journal(tmp_path, {"a": 1}, rank=1).add([{"key": "y", "answer": "2"}])
    assert Journal(tmp_path, {"a": 1}).answers == {"x": "1", "y": "2"}


def test_a_picture_is_looked_at_once(assistant):
    looks = assistant.perception.looks
    requests = [Request(str(n), n, lambda: scene_image(HELD_OUT_SEED), f"How many {n}?") for n in range(5)]
    batches = list(Answerer(assistant, batch_size=2).batches(requests))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert assistant.perception.looks == looks + 1


def test_a_question_without_a_picture_and_one_too_long_are_answered(assistant, capsys):
    requests = [Request("none", 0, lambda: None, "How many?"), Request("long", 1, lambda: None, "many " * 400)]
    answers = {request.key: text for batch in Answerer(assistant).batches(requests) for request, text in batch}
    assert answers["none"] and answers["long"] == ""
    assert "long is too long" in capsys.readouterr().err


def test_a_batch_size_below_one_is_refused(assistant):
    with pytest.raises(ValueError, match="batch size must be at least 1"):
        Answerer(assistant, Variant(), 0)
