"""An expert takes no more than its capacity, whom it takes does not depend on the place, and answers lose nothing."""

import pytest
import torch

from moai.models.sparse.capacity import Capacity
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.record import ExpertRecord, dropped

EXPERTS = 6


@pytest.fixture
def chosen():
    """Two of six experts for each of 40 tokens; many want the first."""
    torch.manual_seed(3)
    scores = torch.randn(40, EXPERTS)
    scores[:, 0] += 2
    return scores.topk(2)[1]


@pytest.mark.parametrize("by", ["random", "position"])
def test_no_expert_takes_more_and_first_choices_go_first(chosen, by):
    taken = Capacity(1.0, by).taken(chosen, EXPERTS)
    most = -(-40 * 2 // EXPERTS)
    for expert in range(EXPERTS):
        first, second = (chosen == expert).unbind(dim=1)
        got = taken & (chosen == expert)
        assert got.sum() == min(most, int(first.sum() + second.sum()))  # nothing is dropped where there is room
        assert got[:, 0].sum() == min(most, int(first.sum()))
    assert not taken.all()


@pytest.mark.parametrize("by", ["random", "position"])
def test_with_room_for_all_nothing_is_dropped(chosen, by):
    assert Capacity(EXPERTS / 2, by).taken(chosen, EXPERTS).all()


def test_padding_takes_no_room(chosen):
    mask = torch.arange(40) < 20
    taken = Capacity(1.0, "position").taken(chosen, EXPERTS, mask)
    assert not taken[20:].any()
    assert torch.equal(taken[:20], Capacity(1.0, "position").taken(chosen[:20], EXPERTS))


def test_random_selection_favours_no_place():
    wanted, times = torch.zeros(24, 1, dtype=torch.long), 400
    torch.manual_seed(0)
    counts = sum(Capacity(1.0).taken(wanted, 2).float() for _ in range(times))
    expected = times / 2
    chi_square = ((counts - expected) ** 2 / (expected / 2)).sum()  # of 24 fair coins, nearly: their sum is fixed
    assert chi_square < 51  # 0.1 % of such draws
    assert torch.equal(Capacity(1.0, "position").taken(wanted, 2).flatten(), torch.arange(24) < 12)


def test_the_seed_decides(chosen):
    torch.manual_seed(1)
    first, other = (Capacity(0.5).taken(chosen, EXPERTS) for _ in range(2))
    torch.manual_seed(1)
    assert torch.equal(first, Capacity(0.5).taken(chosen, EXPERTS)) and not torch.equal(first, other)


def test_a_layer_leaves_out_what_is_dropped_in_training_alone(sparse_model):
    layer = sparse_layers(sparse_model)[1]
    states = torch.randn(2, 5, layer.gate.weight.shape[1])
    plain = layer(states)
    layer.capacity = Capacity(0.5)
    assert torch.equal(layer(states), plain)
    layer.train()
    torch.manual_seed(0)
    bounded = layer(states)
    torch.manual_seed(0)
    _, weights, chosen = layer.gate(states.flatten(0, 1))
    weights = weights * layer.capacity.taken(chosen, EXPERTS)
    assert (weights == 0).any()
    expected = layer.experts(states.flatten(0, 1), chosen, weights).view_as(states) + layer.shared_experts(states)
    torch.testing.assert_close(bounded, expected)
    bounded.sum().backward()
    assert all(one.grad.isfinite().all() for one in layer.parameters() if one.grad is not None)
    layer.capacity = Capacity(EXPERTS / 2)
    assert torch.equal(layer(states), plain)


def test_the_record_says_what_was_dropped(sparse_model):
    for layer in sparse_layers(sparse_model).values():
        layer.capacity = Capacity(0.5, "position")
    ids, record = torch.tensor([[5, 6, 7, 8, 9, 0, 0, 0]]), ExpertRecord(torch.arange(8)[None] < 5)
    sparse_model.train()(input_ids=ids, experts=record)
    for routes in record.layers.values():
        assert dropped(routes) == pytest.approx(1 - routes.taken.sum() / 10)
        assert 0 < dropped(routes) < 1
    after = ExpertRecord()
    sparse_model.eval()(input_ids=ids, experts=after)
    assert all(dropped(routes) == 0 for routes in after.layers.values())
