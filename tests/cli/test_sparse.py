"""Pruning and merging from the command line: what they cost is measured, printed and kept."""

import json

import pytest
import torch
from PIL import Image

from moai.cli import main
from moai.loading import load_model
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.upcycle import upcycle
from moai.training.usage import Measured, batches_of, source_of

SILENT = ("--pictures", "2", "--silent", "--device", "cpu")


@pytest.fixture(scope="module")
def places(model_folder, tmp_path_factory):
    """A folder with a sparse model and two conversations about pictures."""
    folder = tmp_path_factory.mktemp("places")
    model, processor = load_model(str(model_folder), torch.float32)
    sparse = upcycle(model, 3, 1, 3, fresh=0.5)
    sparse.save_pretrained(folder / "sparse")
    processor.save_pretrained(folder / "sparse")
    said = [{"from": "human", "value": "<image>\nWhy?"}, {"from": "gpt", "value": "a dog"}]
    for number in range(2):
        Image.new("RGB", (40, 40), (90 * number, 60, 30)).save(folder / f"{number}.png")
    rows = [{"id": str(one), "image": f"{one}.png", "conversations": said} for one in range(2)]
    (folder / "mine.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module")
def measured(places):
    model, processor = load_model(str(places / "sparse"), torch.float32)
    batches = batches_of(processor, "drawn", source_of(str(places / "mine.json")), 2, silent=True)
    return Measured(model, processor), batches


def command(*words) -> int:
    return main([str(one) for one in words])


def error_of(capsys, *words) -> str:
    assert command(*words) == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("by", ["load", "task", "random"])
def test_prune(places, tmp_path, capsys, by):
    target = tmp_path / "small"
    data = ("--data", places / "mine.json")
    assert command("prune", places / "sparse", target, "--keep", "4", "--by", by, *data, *SILENT) == 0
    told = capsys.readouterr().out
    rows = [line.split("|") for line in told.splitlines() if line.startswith(("| before", "| after"))]
    assert [row[2].strip() for row in rows] == ["6", "4"]
    assert "| after | 4 |" in (target / "README.md").read_text()
    model, _ = load_model(str(target), torch.float32)
    assert sparse_layers(model)[1].experts.num_experts == 4


def test_merge(places, tmp_path, capsys):
    given = ("merge", places / "sparse", tmp_path / "both", "--with", places / "sparse", *SILENT)
    assert command(*given, "--data", places / "mine.json") == 0
    rows = [
        line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith(("| before", "| after"))
    ]
    assert [row[2].strip() for row in rows] == ["6", "12"]
    assert float(rows[0][5]) == pytest.approx(float(rows[1][5]), abs=2e-4)  # with itself it is the same
    given = ("merge", places / "sparse", tmp_path / "few", "--keep", "3", *SILENT, "--data", places / "mine.json")
    assert command(*given) == 0
    assert "| after | 3 |" in capsys.readouterr().out
    model, _ = load_model(str(tmp_path / "few"), torch.float32)
    assert len(sparse_layers(model)[1].expert_of) == 6


def test_importance_is_what_would_be_missing(measured):
    one, batches = measured
    loads, needs = one.importance("load", batches), one.importance("task", batches)
    assert sorted(loads) == sorted(needs) == [1, 2]
    for index in (1, 2):
        assert loads[index].shape == needs[index].shape == (6,) and (loads[index] >= 0).all()
        # Nothing rests on what is never taken.
        assert not needs[index][loads[index] == 0].any() and needs[index].any()
    assert torch.equal(one.importance("random", batches, 3)[1], one.importance("random", batches, 3)[1])
    assert not torch.equal(one.importance("random", batches, 3)[1], one.importance("random", batches, 4)[1])
    assert not any(layer.gate._forward_hooks for layer in sparse_layers(one.model).values())


def test_the_cost_is_that_of_the_model(measured):
    one, batches = measured
    told = one.cost("it", batches)
    assert told.parameters == sum(parameter.numel() for parameter in one.model.parameters())
    assert told.bytes == 4 * told.parameters and told.experts == 6
    with torch.no_grad():
        losses = [float(one.objective(**batch)["answers"]) for batch in batches]
    assert told.loss == pytest.approx(sum(losses) / 2, rel=1e-4)


def test_drawn_scenes_with_the_words_of_experts(measured, places):
    _, processor = load_model(str(places / "sparse"), torch.float32)
    (batch,) = batches_of(processor, "drawn", source_of("drawn"), 1)
    assert batch["aux_attention_mask"].any() and batch["weights"].any()


def test_what_cannot_be_is_one_sentence(places, model_folder, tmp_path, capsys):
    sparse, target = places / "sparse", tmp_path / "new"
    prune = ("prune", sparse, target, *SILENT, "--keep")
    assert "1 of 6 experts cannot be kept: 2 are active" in error_of(capsys, *prune, 1)
    assert "experts are kept by load, task, random, not by 'age'" in error_of(capsys, *prune, 4, "--by", "age")
    assert "no sparse layers" in error_of(capsys, "prune", model_folder, target, "--keep", 2)
    assert "drawn scenes need no cache" in error_of(capsys, *prune, 4, "--cache", tmp_path)
    assert "nowhere.json" in error_of(capsys, *prune, 4, "--data", "nowhere.json")
    few = ("prune", sparse, target, "--keep", 4, "--pictures", 0)
    assert "pictures must be at least 1, got 0" in error_of(capsys, *few)
    assert "say what is merged: --with MODEL, --keep K, or both" in error_of(capsys, "merge", sparse, target)
    assert "--rest and --active are for several" in error_of(
        capsys, "merge", sparse, target, "--keep", 2, "--active", 1
    )
    assert "6 experts cannot be merged into 9; use 1 to 6" in error_of(capsys, "merge", sparse, target, "--keep", 9)
    assert not target.exists()
    assert "is there already" in error_of(capsys, "prune", sparse, places, "--keep", 4)
