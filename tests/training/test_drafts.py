"""Drafts of a model with truths: made by a command that goes on where it was, and turned into rows to train on."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest

from moai.data import registry
from moai.data.drafts import Asked, read_drafts, turn
from moai.data.registry import build, rows_for
from moai.data.rows import RowSizes
from moai.models.modeling import IGNORED
from moai.training import command
from moai.training.drafts import main
from moai.training.experiment import load_experiment
from tests.conftest import EXAMPLES

LINES = [
    {"image": "street.png", "question": "What is this?", "answer": "A street"},
    {"image": "bed.png", "question": "What is that?", "answer": "A bed"},
    {"image": "table.png", "question": "What is on the table?", "answer": "A cup " * 30},
]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """The words of an experiment's data: drafts about pictures of a source of our own."""
    monkeypatch.setitem(registry.SOURCES, "jsonl", "tests.data.jsonl:Jsonl")
    for line in LINES:
        shutil.copy(EXAMPLES / line["image"], tmp_path)
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    return f"data=[{{name: drafts, file: {tmp_path}/drafts.jsonl, of: {{name: jsonl, path: {tmp_path}/data.jsonl}}}}]"


def drafted(model, asked, *more) -> int:
    return main(["deliberate", asked, "--model", str(model), "--samples", "3", "--tokens", "12", *more])


def test_drafts_are_made_kept_and_trained_on(asked, model_folder, tmp_path, capsys):
    path = tmp_path / "drafts.jsonl"
    assert drafted(model_folder, asked, "--pictures", "6") == 0
    whole = path.read_text()
    records = [json.loads(line) for line in whole.splitlines()]
    # Six positions are two epochs; the long answer is left out.
    assert Counter(one["answer"] for one in records) == {"A street": 2, "A bed": 2}
    assert all(len(one["drafts"]) == len(one["right"]) == 3 for one in records)
    # Stopped in the middle of a line, it goes on.
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:2]) + lines[2][:20])
    assert drafted(model_folder, asked, "--pictures", "6") == 0
    assert {json.loads(line)["position"] for line in path.read_text().splitlines()} == {
        one["position"] for one in records
    }
    settings = ["rows=4", "questions=2", "steps=1", f"init={model_folder}", f"output={tmp_path / 'out'}"]
    assert command.main(["deliberate", asked, "turn_tokens=400", "lora_rank=2", *settings]) == 0
    assert json.loads((tmp_path / "out" / "training.json").read_text())["steps"] == 1
    capsys.readouterr()
    assert drafted(model_folder, asked, "--pictures", "0") == 2
    assert "--pictures is 0; it must be above 0" in capsys.readouterr().err
    for name in ("polish", "detector"):
        assert main([name, "--model", str(model_folder)]) == 2
        assert "needs one source named drafts with a file" in capsys.readouterr().err


def one(drafts: str, answer: str = "a", position: int = 0) -> Asked:
    return Asked(position, f"Which letter {position}?", answer, tuple(drafts), tuple(text == answer for text in drafts))


def test_hard_cases_are_drawn_more_often():
    right, most, minority, none, alike = (one(drafts).weight for drafts in ("aaaa", "aaab", "abbb", "bcdb", "bbbb"))
    assert right < most < minority and right < none < alike


def test_a_turn_asks_about_its_drafts_and_knows_the_truth():
    rng = np.random.default_rng(0)
    turns = [turn(one("aabc"), rng) for _ in range(200)]
    assert {answer for _, answer in turns} == {"a"} and len({question for question, _ in turns}) > 30
    said = [[line[3:] for line in question.splitlines()[1:-1]] for question, _ in turns]
    assert all(question.endswith("\nQuestion: Which letter 0?") for question, _ in turns)
    assert {len(drafts) for drafts in said} == {2, 3, 4} and {text for drafts in said for text in drafts} == set("abc")
    # Some agree and are wrong, and in some the one that is right stands alone.
    assert any(len(drafts) == 4 and set(drafts) == {"b"} for drafts in said) or any(
        set(drafts) in ({"b"}, {"c"}) for drafts in said
    )
    assert any(drafts.count("a") == 1 and len(drafts) == 4 and len(set(drafts)) == 2 for drafts in said)


def test_pictures_are_those_of_the_source_and_some_are_held_out(asked, processor, tmp_path):
    path = tmp_path / "drafts.jsonl"
    rows = [
        {"seed": 7, "position": place, "question": f"Which {place}?", "answer": "a", "drafts": ["a", "b"],
         "right": [True, False]}
        for place in range(3)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"name": "drafts", "file": path, "hold_out": 1, "of": {"name": "jsonl", "path": tmp_path / "data.jsonl"}}
    sizes = RowSizes(turn=400, aux=64, questions=2)
    samples = build([source], rows_for(processor, sizes=sizes), seed=1)
    own = registry.builder("jsonl")(None, 7, tmp_path / "data.jsonl")
    pictures = {place: next(own.examples(place)).image for place in range(3)}
    for position in range(8):
        (example,) = samples.source.examples(position)
        places = {int(question[-2]) for question, _ in example.turns}
        assert len(places) == 1 and not places & {0}
        assert np.array_equal(example.image, pictures[places.pop()])
    assert next(turn for held in samples.held_out(9) for turn in held.turns)[0].endswith("Which 0?")
    assert (samples.sample(0)["labels"] != IGNORED).any()
    first, again = samples.sample(5), samples.sample(5)
    assert (first["input_ids"] == again["input_ids"]).all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no drafts"),
        ("[1]\n", "line 1 is not what"),
        (
            '{"seed": 0, "position": 0, "question": "?", "answer": "a", "drafts": [], "right": []}\n',
            "line 1 needs drafts",
        ),
        (
            '{"seed": 0, "position": 0, "question": "?", "answer": "a", "drafts": ["a"], "right": [true]}\n'
            '{"seed": 1, "position": 0, "question": "?", "answer": "a", "drafts": ["a"], "right": [true]}\n',
            r"several seeds \(0, 1\)",
        ),
    ],
)
def test_files_that_hold_no_drafts(text, sentence, tmp_path):
    (tmp_path / "drafts.jsonl").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_drafts(tmp_path / "drafts.jsonl")


def test_wrong_settings_are_one_sentence(processor, tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read .*moai\.training\.drafts"):
        build([{"name": "drafts", "file": tmp_path / "none"}], rows_for(processor))
    with pytest.raises(ValueError, match="which this stage does not show"):
        build([{"name": "drafts", "file": tmp_path / "none"}], rows_for(processor, pictures=False))
    (tmp_path / "one.jsonl").write_text(
        '{"seed": 0, "position": 0, "question": "?", "answer": "a", "drafts": ["a"], "right": [true]}\n'
    )
    with pytest.raises(ValueError, match="hold_out leaves nothing to train on"):
        build([{"name": "drafts", "file": tmp_path / "one.jsonl", "hold_out": 1}], rows_for(processor))
    assert load_experiment("deliberate").data[0]["name"] == "drafts"
