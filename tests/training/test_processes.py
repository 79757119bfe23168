"""One model trained by two processes: each with all of it or with a part, and gone on with by one."""

import json

import pytest

from moai.models.modeling import MoAIForConditionalGeneration
from moai.training import command
from tests.training.processes import train_in_processes

pytestmark = pytest.mark.xdist_group("processes")  # forked from one server
SETTINGS = [
    "rows=8", "questions=2", "turn_tokens=48", "aux_tokens=64", "routing=gates", "packed=false", "log_every=1",
    "save_every=2", "steps=4", "optimizer=muon", "evaluate=0", "show_every=0", "unfreeze=[projector]",
    "final_share=1", "warmup=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def alone(model_folder, tmp_path_factory):
    """Four steps of one process, and the settings of that."""
    folder = tmp_path_factory.mktemp("alone")
    given = ["experts", f"init={model_folder}", *SETTINGS]
    assert command.main([*given, f"output={folder}"]) == 0
    return given, folder


def losses(folder):
    return [one["loss"] for one in json.loads((folder / "training.json").read_text())["log"] if "loss" in one]


def weights(folder):
    return MoAIForConditionalGeneration.from_pretrained(folder).state_dict()


def check(folder, other):
    """The same losses, and so weights, but for sums in another order, which AdamW makes larger where little is left."""
    assert losses(folder)[0] == pytest.approx(losses(other)[0], rel=1e-5)
    assert losses(folder) == pytest.approx(losses(other), rel=1e-3)
    theirs = weights(other)
    for name, tensor in weights(folder).items():
        assert (tensor - theirs[name]).float().abs().mean() < 3e-4, name


def test_parts_of_a_step_make_the_same_step(alone, tmp_path):
    given, folder = alone
    assert command.main([*given, "accumulate=2", f"output={tmp_path}"]) == 0
    check(tmp_path, folder)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
def test_two_processes_do_what_one_does(alone, tmp_path, sharding, capfd):
    given, folder = alone
    two = [*given, f"sharding={sharding}", f"output={tmp_path}"]
    assert train_in_processes(2, [*two, "steps=2"]) == [0, 0]
    assert "saved" in capfd.readouterr().out
    # One process goes on where two left.
    assert command.main([*two, "resume=true"]) == 0
    check(tmp_path, folder)
