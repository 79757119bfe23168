"""Every published benchmark from a folder in its released format, through lmms-eval's task, to scores."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

pytest.importorskip("lmms_eval.evaluator")

from moai.evaluation.catalogue import BENCHMARKS
from moai.evaluation.lmms.judged import mathvista_scores, mmvet_scores, normalised_extraction
from moai.evaluation.lmms.run import load_task, prepare, run_benchmark
from moai.evaluation.lmms.scores import SCORERS
from tests.evaluation.released import MAKERS

QUESTIONS = {
    "q-bench": 2, "scienceqa-img": 1, "textvqa": 1, "pope": 6, "mme": 28, "mmbench": 2, "mmbench-cn": 2, "mm-vet": 1,
    "ai2d": 2, "seed-img": 1, "mathvista": 2, "hallusionbench": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    monkeypatch.setattr("moai.evaluation.lmms.model._LONGEST", 4)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_released_folder_becomes_a_task(name, tmp_path):
    MAKERS[name](tmp_path)
    task = load_task(BENCHMARKS[name], tmp_path)
    documents = task.test_docs()
    assert len(documents) == QUESTIONS[name]
    for document in documents:
        (picture,) = task.doc_to_visual(document)
        assert picture.size == (96, 96)
        assert task.doc_to_text(document).strip()
    if name in SCORERS:
        scores = SCORERS[name]([(document, "nonsense") for document in task.eval_docs_no_media])
        assert scores["questions"] == QUESTIONS[name]
        assert set(BENCHMARKS[name].headline) <= scores.keys()


TRUE_ANSWERS = {
    "q-bench": lambda one: "B",
    "scienceqa-img": lambda one: "C.",
    "textvqa": lambda one: "Stop",
    "pope": lambda one: one["answer"],
    "mme": lambda one: one["answer"],
    "mmbench": lambda one: one["answer"],
    "ai2d": lambda one: "b",
    "seed-img": lambda one: "C",
    "hallusionbench": lambda one: "Yes, it is.",
}


@pytest.mark.parametrize("name", TRUE_ANSWERS)
def test_true_answers_score_best(name, tmp_path):
    MAKERS[name](tmp_path)
    documents = load_task(BENCHMARKS[name], tmp_path).eval_docs_no_media
    scores = SCORERS[name]([(document, TRUE_ANSWERS[name](document)) for document in documents])
    best = {"perception": 2000.0, "cognition": 800.0}
    for headline in BENCHMARKS[name].headline:
        assert scores[headline] == best.get(headline, 100.0)


def test_one_wrong_shift_costs_the_question(tmp_path):
    MAKERS["mmbench"](tmp_path)
    documents = load_task(BENCHMARKS["mmbench"], tmp_path).eval_docs_no_media
    scores = SCORERS["mmbench"]([(document, "B") for document in documents])
    assert (scores["accuracy"], scores["plain"]) == (0.0, 50.0)


def test_hallusionbench_by_hand():
    # Figure 1: both questions right. Figure 2: one of two. Question 0 is right for both figures, question 1 is not.
    base = {"category": "VD", "subcategory": "figure", "set_id": "0", "gt_answer": "1"}
    rows = [(base | {"figure_id": f, "question_id": q}, text) for f, q, text in
            (("1", "0", "Yes"), ("1", "1", "yes"), ("2", "0", "Yes"), ("2", "1", "No"))]  # fmt: skip
    assert SCORERS["hallusionbench"](rows) == {"aAcc": 75.0, "fAcc": 50.0, "qAcc": 50.0, "questions": 4}


def test_a_benchmark_runs_and_resumes(assistant, tmp_path):
    MAKERS["pope"](tmp_path / "data")
    settings = {"data": tmp_path / "data", "batch_size": 4}
    first = run_benchmark("pope", assistant, "tiny", tmp_path / "out", **settings)
    assert first["scores"]["questions"] == 6 and set(first["scores"]) >= {"random", "popular", "adversarial"}
    looks = assistant.perception.looks
    assert run_benchmark("pope", assistant, "tiny", tmp_path / "out", **settings) == first
    assert assistant.perception.looks == looks
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == first


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "val2014/p.jpg").unlink(), "has no val2014/p.jpg; POPE .* download it from"),
        (lambda folder: (folder / "coco_pope_random.json").write_text("{"), "is not POPE .* as released; it must hold"),
        (lambda folder: (folder / "coco_pope_popular.json").unlink(), "has no coco_pope_popular.json"),
    ],
)
def test_a_spoilt_folder_is_told_in_a_sentence(tmp_path, spoil, message):
    MAKERS["pope"](tmp_path)
    spoil(tmp_path)
    with pytest.raises(ValueError, match=message):
        prepare(["pope"], tmp_path)


def test_a_missing_folder_is_told_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .*absent.* download it from .* give --data"):
        prepare(["pope"], tmp_path / "absent")


def test_without_network_and_data_one_sentence_says_what_to_download(monkeypatch):
    from moai.evaluation.lmms import run

    monkeypatch.setattr(run, "_HUB", ("127.0.0.1", 9))
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    prepare(["mme"], None)
    with pytest.raises(ValueError, match=r"MME .* is not here: download it from .* and give --data FOLDER"):
        load_task(BENCHMARKS["mme"])


class Verdict(BaseHTTPRequestHandler):
    asked: ClassVar[list[dict]] = []
    reply = "0.5"

    def do_POST(self):
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps({"choices": [{"message": {"content": self.reply}}]}).encode()
        self.send_response(200 if self.path == "/v1/chat/completions" else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def judge(monkeypatch):
    monkeypatch.setattr(Verdict, "asked", [])
    server = HTTPServer(("127.0.0.1", 0), Verdict)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", Verdict
    server.shutdown()


@pytest.mark.parametrize(("name", "questions"), [("mm-vet", ["v1_0"]), ("mathvista", ["1", "2"])])
def test_a_judged_benchmark_writes_its_submission_and_takes_a_judge(assistant, tmp_path, judge, name, questions):
    MAKERS[name](tmp_path / "data")
    url, server = judge
    settings = {"data": tmp_path / "data", "limit": 2}
    alone = run_benchmark(name, assistant, "tiny", tmp_path / "out", **settings)
    assert alone["scores"] == {"questions": len(questions)}
    assert list(json.loads((tmp_path / "out" / "submission.json").read_text())) == questions
    judged = run_benchmark(name, assistant, "tiny", tmp_path / "out", judge=(url, "gpt"), **settings)
    assert judged["scores"][BENCHMARKS[name].headline[0]] == (50.0 if name == "mm-vet" else 0.0)
    assert [one["model"] for one in server.asked] == ["gpt"] * len(questions)
    run_benchmark(name, assistant, "tiny", tmp_path / "out", judge=(url, "gpt"), **settings)
    assert len(server.asked) == len(questions)


def test_mmvet_by_hand():
    samples = [({"capability": "ocr,math"}, ""), ({"capability": "ocr"}, ""), ({"capability": "rec"}, "")]
    scores = mmvet_scores(samples, ["0.5", "The score is 1.0", "none"])
    assert scores == {"score": 50.0, "questions": 3, "math": 50.0, "ocr": 75.0, "rec": 0.0}


@pytest.mark.parametrize(
    ("text", "problem", "normal"),
    [
        ("(B) 8", {"question_type": "multi_choice", "choices": ["7", "8"]}, "8"),
        ("8", {"question_type": "multi_choice", "choices": ["7", "8"]}, "8"),
        ("C", {"question_type": "multi_choice", "choices": ["7", "8"]}, None),
        ("1,234.0", {"question_type": "free_form", "answer_type": "integer"}, "1234"),
        ("1.25 m", {"question_type": "free_form", "answer_type": "float", "precision": 1.0}, "1.2"),
        ("many", {"question_type": "free_form", "answer_type": "integer"}, None),
        (" [1, 2] ", {"question_type": "free_form", "answer_type": "list"}, "[1, 2]"),
    ],
)
def test_extractions_are_normalised(text, problem, normal):
    assert normalised_extraction(text, problem) == normal


def test_mathvista_by_hand():
    problem = {"question_type": "free_form", "answer_type": "integer", "answer": "3", "metadata": {"task": "counting"}}
    scores = mathvista_scores([(problem, ""), (problem | {"metadata": {"task": "other"}}, "")], ["3", "4"])
    assert scores == {"accuracy": 50.0, "questions": 2, "counting": 100.0, "other": 0.0}
