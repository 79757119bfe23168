"""Experts that are shared out over processes learn what they would in one."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.capacity import Capacity
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.record import ExpertRecord
from moai.models.sparse.upcycle import upcycle
from moai.models.stored.reading import read_model
from moai.training import command
from moai.training.sharding import gathered_state, joined, left, place, split, spread_state, whole
from moai.training.sparse.spread import clipped, copied, spread_experts, stacks
from moai.training.trainer import save_model
from tests.conftest import opened, tiny_config
from tests.models.sparse.conftest import SPARSE
from tests.training.processes import in_processes, train_in_processes

pytestmark = pytest.mark.xdist_group("processes")  # forked from one server


class Squares(nn.Module):
    """The sum of a model's squared logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **inputs):
        return self.model(**inputs, use_cache=False).logits.square().sum()

    def generate(self, **inputs):
        return self.model.generate(**inputs)


def seeded() -> Squares:
    torch.manual_seed(0)
    model = opened(MoAIForConditionalGeneration(tiny_config(**SPARSE)))
    # In one layer all tokens take the same two experts, so one process has nothing to do there.
    sparse_layers(model)[2].gate.weight.data.zero_()
    model.vision.eval()  # which would norm over the rows of a batch
    return Squares(model)


def adamw(objective: nn.Module) -> torch.optim.AdamW:
    experts = stacks(objective)
    others = [one for name, one in objective.named_parameters() if name not in experts and one.grad is not None]
    return torch.optim.AdamW([{"params": others}, {"params": list(experts.values())}], 1e-3)


def found_in(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [one for group in optimizer.param_groups for one in group["params"]]


WAYS = (("ddp", 2), ("fsdp", 1))
"""Shardings and the number of processes that share out the experts; with 1 each has a copy of all."""


def learn(file: Path) -> None:
    """One of two processes: its row's gradients, in each way, and what it says are those that `file` expects."""
    inputs, expected = torch.load(file)
    number, count = place()
    device = joined()
    for sharding, parts in WAYS:
        objective = seeded()
        spread_experts(objective.model, parts, count, device)
        assert sparse_layers(objective)[1].experts.gate_up_proj.to_local().shape[0] == 6 // parts
        runs = objective
        if sharding == "fsdp":
            split(objective, device)
        else:
            runs = copied(objective)
        loss = runs(**{name: one[number : number + 1] for name, one in inputs.items()}) * count
        loss.backward()
        found = {name: one for name, one in objective.named_parameters() if one.grad is not None}
        assert set(found) == set(expected) - {"length", "logits"}
        for name, one in found.items():
            told = whole(one.grad).reshape(expected[name].shape)
            torch.testing.assert_close(told, expected[name], rtol=1e-5, atol=float(1e-5 * expected[name].abs().max()))
        torch.testing.assert_close(clipped(objective.parameters(), 0.5), expected["length"])
        torch.testing.assert_close(clipped(objective.parameters(), 0.5), torch.tensor(0.5))
        objective.eval()
        with torch.no_grad():
            ids = inputs["input_ids"][:, -4:].clamp(min=5)
            torch.testing.assert_close(objective(input_ids=ids), expected["logits"])
        optimizer = adamw(objective)
        optimizer.step()
        state, other = gathered_state(optimizer.state_dict()), adamw(objective)
        assert state["state"][0]["exp_avg"].shape == found_in(optimizer)[0].shape
        other.load_state_dict(spread_state(state, other))
        for one in found_in(optimizer):
            torch.testing.assert_close(whole(other.state[one]["exp_avg"]), whole(optimizer.state[one]["exp_avg"]))
    left()


def agree_on_a_gpu(device: str) -> None:
    """One process, with NCCL: in bf16, experts that are exchanged with nobody learn what they do without."""
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    found = []
    for spread in (False, True):
        objective = seeded().to(device)
        if spread:
            spread_experts(objective.model, 1, 1, torch.device(device))
        for layer in sparse_layers(objective).values():
            layer.capacity = Capacity(1.0, "position")
        ids = (torch.arange(48).view(2, 24) % 50 + 5).to(device)
        with torch.autocast(device, torch.bfloat16):
            objective(input_ids=ids).backward()
        optimizer = torch.optim.AdamW(stacks(objective).values(), 1e-3, fused=device == "cuda")
        length = clipped(objective.parameters(), 1.0)
        assert length > 1
        optimizer.step()
        assert all(whole(one.detach()).isfinite().all() for one in stacks(objective).values())
        told = {name: whole(one.grad) for name, one in stacks(objective).items() if one.grad is not None}
        found.append(told | {"length": length})
    for name, one in found[0].items():
        torch.testing.assert_close(found[1][name], one, rtol=2e-2, atol=float(2e-2 * one.abs().max()), msg=name)
    torch.distributed.destroy_process_group()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(capfd):
    assert in_processes(1, agree_on_a_gpu, "cuda", start="spawn") == [0], capfd.readouterr().out


def test_two_processes_have_the_gradients_of_one(inputs, tmp_path, capfd):
    alone = seeded()
    record = ExpertRecord()
    alone.model(**inputs, experts=record)
    assert len((record.layers[2].chosen // 3).unique()) == 1
    alone(**inputs).backward()
    expected = {name: one.grad.clone() for name, one in alone.named_parameters() if one.grad is not None}
    assert set(stacks(alone)) <= set(expected)
    expected["length"] = clipped(alone.parameters(), 1e9)
    with torch.no_grad():
        expected["logits"] = alone.eval()(input_ids=inputs["input_ids"][:, -4:].clamp(min=5))
    torch.save((inputs, expected), tmp_path / "expected.pt")
    assert in_processes(2, learn, tmp_path / "expected.pt") == [0, 0], capfd.readouterr().out


@pytest.fixture(scope="module")
def sparse_folder(model_folder, tmp_path_factory) -> Path:
    """A tiny model of six experts, two of them active, that knows the drawn words."""
    folder = tmp_path_factory.mktemp("sparse")
    model, processor = read_model(model_folder)
    save_model(upcycle(model, parts=3, shared=1, copies=3, fresh=0.5), processor, folder)
    return folder


SETTINGS = [
    "rows=4", "questions=2", "turn_tokens=48", "aux_tokens=64", "routing=gates", "log_every=1", "save_every=1",
    "evaluate=0", "show_every=0", "unfreeze=[decoder, plora]", "final_share=1", "warmup=0",
]  # fmt: skip


@pytest.mark.slow
def test_one_process_goes_on_where_two_left(sparse_folder, tmp_path, capfd):
    given = ["gates", f"init={sparse_folder}", *SETTINGS]
    straight, moved = ([*given, f"output={tmp_path / name}"] for name in ("straight", "moved"))
    assert command.main([*straight, "steps=2"]) == 0
    moved += ["experts_parallel=2", "sharding=fsdp"]
    assert train_in_processes(2, [*moved, "steps=1"]) == [0, 0], capfd.readouterr().out
    MoAIForConditionalGeneration.from_pretrained(tmp_path / "moved")
    assert command.main([*moved, "resume=true", "steps=2"]) == 0
    losses, weights = [], []
    for name in ("straight", "moved"):
        log = json.loads((tmp_path / name / "training.json").read_text())["log"]
        losses.append([one["loss"] for one in log if "loss" in one])
        weights.append(MoAIForConditionalGeneration.from_pretrained(tmp_path / name).state_dict())
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    for name, tensor in weights[1].items():
        assert (tensor - weights[0][name]).float().abs().mean() < 3e-4, name


@pytest.mark.parametrize(
    ("parts", "count", "said"),
    [
        (4, 4, "6 experts cannot be shared out evenly over 4 processes"),
        (2, 3, "3 processes cannot be divided into groups of 2"),
    ],
)
def test_numbers_that_do_not_divide(parts, count, said):
    with pytest.raises(ValueError, match=said):
        spread_experts(seeded().model, parts, count, torch.device("cpu"))


def test_compiled_experts_are_not_shared_out(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert command.main(["sparse", "experts_parallel=2", "sharding=ddp", "compile=layers", f"output={tmp_path}"]) == 2
    assert "leave it out with sharding fsdp and experts_parallel" in capsys.readouterr().err


def test_a_dense_model_has_none_to_share_out(model):
    with pytest.raises(ValueError, match="experts_parallel is for experts of sparse layers"):
        spread_experts(model, 2, 2, torch.device("cpu"))
