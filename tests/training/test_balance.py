"""Balance is a part of the loss of a sparse model whose stage asks for it, and of no other."""

import dataclasses

import pytest
import torch

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.balance import balance_loss
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.record import ExpertRecord
from moai.training.experiment import load_stages
from moai.training.objective import MoAIObjective, totals_of
from moai.training.progress import told
from moai.training.sparse.bound import bound
from tests.conftest import opened, tiny_config
from tests.models.sparse.conftest import SPARSE


@pytest.fixture(scope="module")
def objective(processor):
    """Of `language` for a tiny sparse model; its settings may be set."""
    text = tiny_config().text_config
    text.vocab_size = len(processor.tokenizer)
    model = opened(MoAIForConditionalGeneration(tiny_config(text_config=text, **SPARSE)))

    def made(**settings) -> MoAIObjective:
        stage = dataclasses.replace(load_stages()["language"], **settings)
        return MoAIObjective(model, processor, stage).eval()

    return made


@pytest.fixture
def batch(processor):
    ids = torch.randint(5, 60, (2, 1, 12))
    ids[1, 0, 7:] = processor.tokenizer.pad_token_id
    return {"input_ids": ids, "labels": ids, "weights": (ids != processor.tokenizer.pad_token_id).float()}


def test_it_is_added_where_it_is_asked_for(objective, batch):
    plain, asked = objective()(**batch), objective(balance_weight=0.5, device_balance_weight=0.1, balance_devices=2)
    assert set(plain) == {"loss"}
    told = asked(**batch)
    record = ExpertRecord(batch["weights"][:, 0].bool())
    asked.model(input_ids=batch["input_ids"][:, 0], experts=record)
    expected = balance_loss(record, 0.5, 0.1, 2)
    torch.testing.assert_close(told["balance"], expected)
    torch.testing.assert_close(told["loss"], plain["loss"] + expected)
    assert 1 / 6 < told["busiest"] <= 1 and not told["balance"].requires_grad


def test_of_a_step_in_parts_it_is_the_mean(objective, batch):
    asked = objective(balance_weight=0.5)
    parts = [{name: one[row : row + 1] for name, one in batch.items()} for row in range(2)]
    totals = {name: sum(totals_of(part)[name] for part in parts) for name in totals_of(batch)}
    each = [asked(**part)["balance"] for part in parts]
    told = [asked(totals=totals, **part)["balance"] for part in parts]
    torch.testing.assert_close(sum(told), sum(each) / 2)


def test_it_evens_out_what_experts_have_to_do(objective, batch):
    asked = objective(balance_weight=1.0)
    routers = [layer.mlp.gate.weight for layer in asked.model.language_model.layers[1:]]
    optimizer = torch.optim.Adam(routers, lr=0.05)
    before = asked(**batch)
    for _ in range(15):
        optimizer.zero_grad()
        record = ExpertRecord(batch["weights"][:, 0].bool())
        asked.model(input_ids=batch["input_ids"][:, 0], experts=record)
        balance_loss(record, 1.0).backward()
        optimizer.step()
    assert asked(**batch)["balance"] < before["balance"] - 0.05


def test_a_dense_model_has_none(objective, processor, model, batch):
    stage = dataclasses.replace(load_stages()["language"], balance_weight=0.5)
    small = {"input_ids": batch["input_ids"].clamp(max=60), "labels": batch["labels"], "weights": batch["weights"]}
    assert set(MoAIObjective(model, processor, stage).eval()(**small)) == {"loss"}


def test_devices_that_cannot_share(objective, batch):
    with pytest.raises(ValueError, match="6 experts cannot be shared out evenly over 4 devices"):
        objective(device_balance_weight=0.1, balance_devices=4)(**batch)


def test_experts_of_bounded_capacity(objective, batch):
    asked = objective(capacity=0.5, balance_weight=0.5)
    bound(asked.model, dataclasses.replace(load_stages()["language"], capacity=0.5, capacity_by="position"))
    resting, told = asked(**batch), asked.train()(**batch)
    assert resting["dropped"] == 0 and 0 < told["dropped"] < 0.7
    torch.testing.assert_close(told["balance"], resting["balance"], rtol=0.1, atol=0)  # counted before any are dropped
    asked.eval()
    for layer in sparse_layers(asked.model).values():
        layer.capacity = None


def test_a_dense_model_has_no_capacity(model):
    stage = dataclasses.replace(load_stages()["language"], capacity=1.0)
    with pytest.raises(ValueError, match="capacity is for experts of sparse layers"):
        bound(model, stage)


def test_a_collapsed_layer_is_told():
    logs = {"loss": 1.0, "busiest": 0.4, "samples_per_second": 12, "waiting": 0.0}
    assert "raise balance_weight" not in told(3, logs, 60.0)
    assert "one expert gets more than half of a layer's tokens, raise balance_weight" in told(
        3, logs | {"busiest": 0.6}, None
    )
