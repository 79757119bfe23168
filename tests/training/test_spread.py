"""Experts that are shared out over processes learn what they would in one."""

from pathlib import Path

import torch
from torch import nn

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.record import ExpertRecord
from moai.training.sharding import joined, left, place, split, whole
from moai.training.sparse.spread import clipped, copied, spread_experts, stacks
from tests.conftest import opened, tiny_config
from tests.models.sparse.conftest import SPARSE
from tests.training.processes import in_processes


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


def learn(shardings: list[str], file: Path) -> None:
    """One of two processes: its row's gradients, with each sharding, and what it says are those that `file` expects."""
    inputs, expected = torch.load(file)
    number, count = place()
    device = joined()
    for sharding in shardings:
        objective = seeded()
        spread_experts(objective.model, 2, count, device)
        assert sparse_layers(objective)[1].experts.gate_up_proj.to_local().shape[0] == 3
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
            hidden = objective(input_ids=ids)
        torch.testing.assert_close(hidden, expected["logits"])
    left()


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
    assert in_processes(2, learn, ["ddp", "fsdp"], tmp_path / "expected.pt") == [0, 0], capfd.readouterr().out
