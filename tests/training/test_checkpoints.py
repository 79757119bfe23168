"""Training goes on from the newest checkpoint that is whole, whatever happened to the others."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file

from moai.data.rows import RowSizes
from moai.training import command, run
from moai.training.results.checkpoints import UNFINISHED, checkpoints
from tests.full_disk import full_disk

SIZES = RowSizes(text=200, turn=48, packed=96, aux=64, questions=2, packed_questions=2, text_rows=1)


@pytest.fixture(scope="module", autouse=True)
def short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "RowSizes", lambda: SIZES)
        yield


def train(model, folder, *more) -> int:
    words = ["--stage", "language", "--init", model, "--output", folder, "--rows", "1", "--save-every", "1", *more]
    return command.main([str(one) for one in words])


@pytest.fixture(scope="module")
def trained(model_folder, tmp_path_factory):
    """Two steps, with a checkpoint after each."""
    folder = tmp_path_factory.mktemp("trained")
    assert train(model_folder, folder, "--steps", "2") == 0
    return folder


@pytest.fixture(scope="module")
def averaged(model_folder, tmp_path_factory):
    """Two steps, of which half is taken back in the end."""
    folder = tmp_path_factory.mktemp("averaged")
    assert train(model_folder, folder, "--steps", "2", "--average", "0.5") == 0
    return folder


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copied")


def test_the_newest_two_stay(trained):
    assert [one.name for one in checkpoints(trained)] == ["checkpoint-2", "checkpoint-1"]
    assert not (trained / UNFINISHED).exists()


def damaged(file: str, keep: int | None = None):
    """Cuts a file of the newest checkpoint, or takes it away."""

    def damage(newest):
        for path in newest.glob(file):
            path.unlink() if keep is None else os.truncate(path, keep)

    return damage


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (damaged("trainer_state.json"), "its trainer_state.json is missing or damaged"),
        (damaged("trainer_state.json", 100), "its trainer_state.json is missing or damaged"),
        (damaged("*.safetensors"), "it has no weights"),
        (damaged("*.safetensors", 3000), "its trained.safetensors is damaged"),
        (damaged("optimizer.pt", 3000), "its optimizer.pt is damaged"),
        (damaged("optimizer.pt"), "its optimizer.pt is missing"),
        (damaged("rng_state.pth", 0), "its rng_state.pth is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_left_out_and_told_of(copied, damage, told, capsys):
    experiment = type("Experiment", (), {"resume": True, "output": str(copied)})
    damage(copied / "checkpoint-2")
    assert run.newest_checkpoint(experiment).name == "checkpoint-1"
    said = capsys.readouterr().out
    assert said == f"checkpoint-2 in {copied} is left out, as {told}; going on from checkpoint-1\n"
    shutil.rmtree(copied / "checkpoint-1")
    with pytest.raises(
        ValueError, match=r"there is no whole checkpoint in .* to resume from: checkpoint-2 in .* is left"
    ):
        run.newest_checkpoint(experiment)


def test_training_goes_on_from_the_older_one(trained, copied, model_folder, capsys):
    damaged("optimizer.pt", 3000)(copied / "checkpoint-2")
    (copied / UNFINISHED / "checkpoint-3").mkdir(parents=True)  # being written when it was killed
    assert train(model_folder, copied, "--steps", "2", "--resume") == 0
    assert "going on from checkpoint-1" in capsys.readouterr().out
    assert (copied / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    ours, theirs = (json.loads((one / "training.json").read_text())["log"] for one in (copied, trained))
    assert [one.get("loss") for one in ours] == [one.get("loss") for one in theirs]
    assert not (copied / UNFINISHED).exists()


def test_a_full_disk_leaves_what_was_kept(copied, model_folder, capsys):
    with full_disk(10_000):
        assert train(model_folder, copied, "--steps", "3", "--resume") == 2
    said = capsys.readouterr().err
    assert "the checkpoint of step 3 cannot be written to" in said and "what was there before is kept" in said
    assert [one.name for one in checkpoints(copied)] == ["checkpoint-2", "checkpoint-1"]
    assert not (copied / UNFINISHED).exists()
    assert train(model_folder, copied, "--steps", "3", "--resume") == 0


@pytest.mark.parametrize("gone", [["model.safetensors"], ["model.safetensors", "training.json", "checkpoint-2"]])
def test_a_training_killed_near_its_end_ends_as_one_that_was_not(gone, averaged, model_folder, tmp_path):
    folder = shutil.copytree(averaged, tmp_path / "killed")
    for name in gone:
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()
    assert train(model_folder, folder, "--steps", "2", "--average", "0.5", "--resume") == 0
    ours, theirs = (load_file(one / "model.safetensors") for one in (folder, averaged))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    records = [json.loads((one / "training.json").read_text()) for one in (folder, averaged)]
    assert records[0]["steps"] == 2
    losses, expected = ([step["loss"] for step in one["log"] if "loss" in step] for one in records)
    assert losses == expected
