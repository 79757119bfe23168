"""Orthogonalised momentum for matrices beside AdamW for the rest, as one optimiser."""

import copy

import pytest
import torch
from torch import nn

from moai.training.optimizer import Muon, is_matrix, orthogonalized


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8), (1, 6, 6)])
def test_orthogonalized(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape) * torch.tensor([1e-3, 1.0, 50.0])[: shape[0], None, None]
    result = orthogonalized(matrices)
    assert result.shape == shape
    # Its singular values come near 1, whatever they were, and singular vectors stay.
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.3 and values.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    exact = left @ right
    alike = torch.nn.functional.cosine_similarity(result.flatten(1), exact.flatten(1))
    assert alike.min() > 0.9


def groups(model):
    parameters = list(model.parameters())
    return [
        {"params": [one for one in parameters if one.ndim == 2], "orthogonal": True},
        {"params": [one for one in parameters if one.ndim != 2], "orthogonal": False},
    ]


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))


def gradient(model, seed=0):
    draw = torch.Generator().manual_seed(seed)
    inputs, targets = torch.randn(32, 6, generator=draw), torch.randint(3, (32,), generator=draw)
    model.zero_grad()
    loss = nn.functional.cross_entropy(model(inputs), targets)
    loss.backward()
    return loss.item()


def test_matrices_and_vectors_take_the_steps_meant_for_them():
    model, other = small(), small()
    optimizer = Muon(groups(model), lr=0.01)
    plain = torch.optim.AdamW([one for one in other.parameters() if one.ndim != 2], 0.01, (0.9, 0.98), weight_decay=0.0)
    before = copy.deepcopy(model.state_dict())
    gradient(model), gradient(other)
    optimizer.step(), plain.step()
    for name, value in model.state_dict().items():
        moved = value - before[name]
        if value.ndim == 2:
            expected = orthogonalized(model.get_parameter(name).grad[None])[0] * -0.01 * 0.2 * max(value.shape) ** 0.5
            torch.testing.assert_close(moved, expected, atol=1e-5, rtol=1e-3)
        else:
            torch.testing.assert_close(value, other.state_dict()[name])


def test_it_learns_and_schedules_reach_both_parts():
    model = small()
    optimizer = Muon(groups(model), lr=0.02)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 if step < 60 else 0.0)
    first = gradient(model)
    for _ in range(60):
        gradient(model)
        optimizer.step()
        schedule.step()
    assert gradient(model) < 0.7 * first
    frozen = copy.deepcopy(model.state_dict())
    optimizer.step()
    assert all(torch.equal(value, frozen[name]) for name, value in model.state_dict().items())


def test_a_saved_state_goes_on_the_same():
    model = small()
    optimizer = Muon(groups(model), lr=0.02)
    for seed in range(3):
        gradient(model, seed)
        optimizer.step()
    twin = small()
    twin.load_state_dict(model.state_dict())
    resumed = Muon(groups(twin), lr=0.5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, stepping in ((model, optimizer), (twin, resumed)):
        gradient(one, 9)
        stepping.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[name], value)


def test_tables_are_no_matrices():
    table, layer = nn.Embedding(5, 4), nn.Linear(4, 4)
    assert is_matrix(layer.weight, (table.weight,))
    assert not is_matrix(table.weight, (table.weight,)) and not is_matrix(layer.bias, (table.weight,))
