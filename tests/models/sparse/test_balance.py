"""The balance losses are the paper's, layer by layer, and padding is no token."""

import pytest
import torch

from moai.models.sparse.balance import balance_loss, device_balance, expert_balance
from moai.models.sparse.record import ExpertRecord, LayerRoutes, loads, mass
from tests.conftest import single


def routes(chosen: torch.Tensor, scores: torch.Tensor, mask=None, image=None) -> LayerRoutes:
    return LayerRoutes(scores[None], chosen[None], mask, image)


@pytest.fixture
def uniform() -> LayerRoutes:
    """Eight tokens, each with two of eight routes in turn, and scores that are all alike."""
    chosen = torch.tensor([[token % 8, (token + 1) % 8] for token in range(8)])
    return routes(chosen, torch.full((8, 8), 1 / 8))


def test_uniform_routing_costs_one_and_collapse_as_much_as_there_is_to_lose(uniform):
    assert expert_balance(uniform) == 1.0
    for devices in (1, 2, 4, 8):
        assert device_balance(uniform, devices) == 1.0
    collapsed = routes(torch.tensor([[3, 5]] * 6), torch.tensor([[0, 0, 0, 0.5, 0, 0.5, 0, 0]] * 6))
    assert expert_balance(collapsed) == 4.0
    record = ExpertRecord()
    record.layers = {1: uniform, 2: collapsed}
    assert balance_loss(record, 0.01).item() == pytest.approx(0.05)  # not of both layers' tokens thrown together
    assert balance_loss(record, 0.01, 0.1, 1).item() == pytest.approx(0.05 + 0.2)
    assert balance_loss(ExpertRecord(), 0.01) == 0


def test_it_is_the_formula_written_out():
    scores = torch.randn(10, 6).softmax(dim=1)
    one = routes(scores.topk(2)[1], scores)
    frequency = [6 / (2 * 10) * (one.chosen == expert).sum().item() for expert in range(6)]
    probability = scores.mean(dim=0).tolist()
    assert expert_balance(one).item() == pytest.approx(sum(f * p for f, p in zip(frequency, probability, strict=True)))
    halves = [sum(frequency[a:b]) / 3 * sum(probability[a:b]) for a, b in ((0, 3), (3, 6))]
    assert device_balance(one, 2).item() == pytest.approx(sum(halves))
    assert device_balance(one, 1).item() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="6 experts cannot be shared out evenly over 4 devices"):
        device_balance(one, 4)


@torch.no_grad()
def test_padding_does_not_count(sparse_model, inputs):
    taken = []
    for row in range(2):
        record = ExpertRecord()
        sparse_model(**single(inputs, row), experts=record)
        taken.append(record)
    padded = ExpertRecord()
    short = {name: one[1:] for name, one in inputs.items()}
    sparse_model(**short, experts=padded)
    assert not short["attention_mask"].bool().all()
    assert sorted(padded.layers) == [1, 2]
    for layer in (1, 2):
        torch.testing.assert_close(loads(padded.layers[layer]), loads(taken[1].layers[layer]))
        torch.testing.assert_close(mass(padded.layers[layer]), mass(taken[1].layers[layer]))
        torch.testing.assert_close(expert_balance(padded.layers[layer]), expert_balance(taken[1].layers[layer]))


@torch.no_grad()
def test_loads_by_kind_of_token(sparse_model, inputs):
    record = ExpertRecord()
    sparse_model(**inputs, experts=record)
    one = record.layers[1]
    counts = {"image": 128, "words": int(inputs["attention_mask"].sum()) - 128}
    summed = sum(loads(one, kind) * count for kind, count in counts.items())
    torch.testing.assert_close(summed / sum(counts.values()), loads(one))
    assert loads(one).sum().item() == pytest.approx(1.0)
    text = ExpertRecord()
    sparse_model(input_ids=torch.tensor([[5, 6, 7]]), experts=text)
    assert not loads(text.layers[1], "image").any()
    assert torch.equal(loads(text.layers[1], "words"), loads(text.layers[1]))
    with pytest.raises(ValueError, match="unknown kind of tokens 'answer'; allowed are all, image, words"):
        loads(one, "answer")


@torch.no_grad()
def test_generation_keeps_the_prompt_and_a_dense_model_says_nothing(sparse_model, model, inputs):
    record, forward = ExpertRecord(), ExpertRecord()
    sparse_model.generate(**inputs, max_new_tokens=3, do_sample=False, eos_token_id=None, experts=record)
    sparse_model(**inputs, experts=forward)
    for layer, one in forward.layers.items():
        assert torch.equal(record.layers[layer].chosen, one.chosen)
    dense = ExpertRecord()
    assert torch.equal(model(**inputs, experts=dense).logits, model(**inputs).logits)
    assert not dense.layers


def test_gradients_flow_also_where_layers_are_run_again(sparse_model, inputs):
    def gradient() -> torch.Tensor:
        sparse_model.zero_grad()
        record = ExpertRecord()
        loss = sparse_model(**inputs, labels=inputs["input_ids"], use_cache=False, experts=record).loss
        (loss + balance_loss(record, 1.0)).backward()
        return sparse_model.language_model.layers[1].mlp.gate.weight.grad.clone()

    sparse_model.train()
    sparse_model.vision.eval()
    plain = gradient()
    sparse_model.gradient_checkpointing_enable()
    torch.testing.assert_close(gradient(), plain)
    sparse_model.gradient_checkpointing_disable()
    sparse_model.zero_grad()
    sparse_model(**inputs, labels=inputs["input_ids"]).loss.backward()
    assert not torch.allclose(sparse_model.language_model.layers[1].mlp.gate.weight.grad, plain)
