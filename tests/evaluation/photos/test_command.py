"""`moai eval photos`: answers, journal, scores and report of a tiny random model."""

import json
import sys

import pytest

from moai.assistant import MoAI
from moai.data.photographs.annotations import read_photographs
from moai.evaluation.photos import command
from moai.evaluation.photos.answering import tokens_of
from moai.evaluation.photos.command import ANSWERS, REPORT, SCORES, main
from moai.evaluation.photos.item import Item
from perception import Scene
from perception.registry import expert_names
from tests.models.pretrained.families import language_model


@pytest.fixture(scope="module")
def run(folder, model_folder, tmp_path_factory):
    """One run with every variant: its folder and the words of the command."""
    out, plain = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("plain")
    language_model("llama", plain)
    words = ["--pictures", str(folder), "--model", str(model_folder), "--device", "cpu", "--plain", str(plain)]
    words += ["--tuned", str(model_folder), "--limit", "1", "--out", str(out)]
    assert main(words) == 0
    return out, words


def test_everything_is_answered_in_every_way(run):
    out, _ = run
    record = json.loads((out / ANSWERS).read_text())
    ways = [
        "full",
        "as written",
        "question",
        "backbone",
        "empty",
        "without det",
        "without ocr",
        "plain",
        "words",
        "tuned",
    ]
    assert list(record["answers"]) == ways
    keys = {way: set(said) for way, said in record["answers"].items()}
    assert keys["words"] == keys["tuned"] == keys["empty"] < keys["full"]
    assert {key.split("/")[0] for key in keys["plain"]} == {"general"}
    assert {key.split("/")[0] for key in keys["full"] - keys["empty"]} == {"wordings"}


def test_scores_stand_beside_majority_and_rule(run):
    out, _ = run
    scores = json.loads((out / SCORES).read_text())
    assert scores["left_out"] == {}
    plates = scores["tasks"]["reading"]["plates, where it was read"]
    assert plates["rule"]["mean"] == 1.0 and {"majority", "full", "words"} <= set(plates)
    assert scores["mean"]["empty"]["ahead"]["mean"] == pytest.approx(
        scores["mean"]["full"]["mean"] - scores["mean"]["empty"]["mean"]
    )
    assert scores["tasks"]["wordings"]["as it is"]["full"]["points"]["mean"] == 0.0
    assert scores["mean"]["full"]["tasks"] == ["pope", "counting", "position", "rooms", "reading"]
    text = (out / REPORT).read_text()
    for part in (
        "| pope, adversarial |",
        "| reading, plates, where it was read |",
        "| an emoji behind |",
        "| question |",
    ):
        assert part in text


def test_a_second_run_asks_nothing_and_scoring_needs_no_model(run, monkeypatch, capsys):
    out, words = run
    before = (out / "answers.jsonl").read_bytes()
    assert main(words) == 0
    assert (out / "answers.jsonl").read_bytes() == before
    monkeypatch.setattr(command, "Speaker", None)
    (out / SCORES).rename(out / "old.json")
    assert main(["--score", str(out / ANSWERS)]) == 0
    assert (out / SCORES).read_text() == (out / "old.json").read_text()
    assert "| pope, random |" in capsys.readouterr().out


def test_experts_look_where_a_folder_holds_no_scenes(run, folder, tmp_path, monkeypatch):
    _, words = run
    records = json.loads((folder / "annotations.json").read_text())["pictures"]
    bare = tmp_path / "bare"
    bare.mkdir()
    for one in records:
        (bare / one["file"]).write_bytes((folder / one["file"]).read_bytes())
        del one["scene"]
    (bare / "annotations.json").write_text(json.dumps({"pictures": records}))
    looked = []
    monkeypatch.setattr(command, "_looking", lambda *_: lambda pictures: looked.extend(pictures) or scenes(pictures))
    given = ["--pictures", str(bare), *words[2:6], "--tasks", "rooms", "--variants", "full", "--out", str(tmp_path)]
    assert main(given) == 0
    assert looked == [bare / "room.png"]  # at no other, as no other is asked about


def scenes(pictures):
    return [Scene(100, 80) for _ in pictures]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tasks", "pope,popes"], "there is no task 'popes'"),
        (["--variants", "half"], "there is no variant 'half'; here are full, as written, question"),
        (["--limit", "0"], "--limit must be at least 1"),
        (["--tasks", "rooms", "--pictures", "builtin"], "no questions for rooms"),
        (["--pictures", "{}/absent"], "holds no photographs"),
        (["--score", "{}/absent.json"], "cannot be read"),
        (["--wordnet", "{}"], "holds no WordNet"),
    ],
)
def test_mistakes_get_one_sentence(run, capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.setattr(command, "_looking", lambda *_: scenes)
    given = [*run[1][:4], "--out", str(tmp_path / "out"), *(word.replace("{}", str(tmp_path)) for word in words)]
    assert main(given) == 2
    *progress, error = capsys.readouterr().err.strip().splitlines()
    assert message in error
    assert all(line.startswith("Loading weights") for line in progress)


def test_answers_are_the_assistants(run, folder, model_folder):
    record = json.loads((run[0] / ANSWERS).read_text())
    views = {one.path.stem: one for one in read_photographs(folder)}
    items = [Item.from_dict(one) for one in record["items"] if one["picture"] and not one["options"]]
    for way, moai, experts in (("full", True, expert_names()), ("empty", True, ()), ("backbone", False, None)):
        for item in items:
            if item.key in record["answers"][way]:
                photograph = views[item.picture]
                looking = FixedScene(photograph.scene)
                assistant = MoAI.from_pretrained(model_folder, device="cpu", perception=looking)
                given = {"moai": moai, "experts": experts, "max_new_tokens": tokens_of(item)}
                answer = assistant.ask(photograph.path, item.question, **given)
                assert record["answers"][way][item.key] == answer.text
                break


class FixedScene:
    experts = expert_names()

    def __init__(self, scene):
        self.scene = scene

    def batch(self, pictures, experts=None):
        return [self.scene for _ in pictures]


def test_what_a_missing_library_scores_is_left_out(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "pycocoevalcap.cider.cider", None)
    assert main(["--score", str(run[0] / ANSWERS), "--out", str(tmp_path)]) == 0
    scores = json.loads((tmp_path / SCORES).read_text())
    assert list(scores["left_out"]) == ["captions"] and "reading" in scores["tasks"]
    assert "score again with --score" in capsys.readouterr().out
