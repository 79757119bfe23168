"""Experts brought together: those of several models side by side (aggregation of experts, arXiv 2109.10465), or alike
ones of one model as their mean (M-SMoE, arXiv 2310.01334)."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.layer import SparseFeedForward
from moai.models.sparse.remaking import remade, sparse_layers_of, stacked

RESTS = ("first", "mean")
"""Where an aggregated model has its other weights from: the first model, or the mean of all, which is for branches of
one checkpoint."""


def aggregate(
    models: Sequence[MoAIForConditionalGeneration], rest: str = "first", active: int | None = None
) -> MoAIForConditionalGeneration:
    """One model with the routed experts of several, one after another; the given ones stay as they are.

    active: experts that each token takes, None for as many as in all models together, with which a model that is
    aggregated with itself computes what it did. Raises ValueError with one sentence for models that do not fit
    together.
    """
    first, config = models[0], models[0].config
    if rest not in RESTS:
        raise ValueError(f"unknown rest {rest!r}; allowed are {', '.join(RESTS)}")
    layers = [sparse_layers_of(one) for one in models]
    shapes = {name: one.shape for name, one in first.state_dict().items()}
    for number, one in enumerate(models[1:], 2):
        _check_alike(first, one, shapes, number)
    count = len(models)
    fields = {
        "sparse_experts": count * config.sparse_experts,
        "sparse_pruned": count * config.sparse_pruned,
        "sparse_active": count * config.sparse_active if active is None else active,
    }

    def change(index: int, layer: SparseFeedForward) -> dict[str, Tensor]:
        each = [one[index] for one in layers]
        state = {name: torch.cat([stacked(one)[name] for one in each]) for name in stacked(layer)}
        state["gate.weight"] = torch.cat([one.gate.weight for one in each])
        if config.sparse_pruned:
            state["gate.pruned"] = torch.cat([one.state_dict()["gate.pruned"] for one in each])
        return state

    others: dict[str, Tensor] = {}
    if rest == "mean":
        states = [one.state_dict() for one in models]
        others = {
            name: torch.stack([one[name].float() for one in states]).mean(dim=0).to(tensor)
            for name, tensor in states[0].items()
            if tensor.is_floating_point()
        }
    return remade(first, fields, change, others)


def _check_alike(first, other, shapes: Mapping[str, torch.Size], number: int) -> None:
    theirs = {name: one.shape for name, one in other.state_dict().items()}
    if shapes != theirs:
        name = next(one for one in (*shapes, *theirs) if shapes.get(one) != theirs.get(one))
        sizes = ["none" if of.get(name) is None else str(tuple(of[name])) for of in (shapes, theirs)]
        raise ValueError(f"model {number} does not fit the first: {name} is {sizes[1]}, not {sizes[0]}")
    for name in ("sparse_active", "sparse_scaling", "sparse_renormalise"):
        ours, theirs_value = getattr(first.config, name), getattr(other.config, name)
        if ours != theirs_value:
            raise ValueError(f"model {number} does not fit the first: its {name} is {theirs_value}, not {ours}")


def merge(model: MoAIForConditionalGeneration, keep: int, usage: Mapping[int, Tensor]) -> MoAIForConditionalGeneration:
    """A model with `keep` routed experts in each sparse layer, each the mean of alike ones; `model` stays as it is.

    usage: (E,) by 0-based decoder layer, how much each expert does. The most used stay apart; every other one joins
    that of them whose weights have the smallest angle to its own, and weighs as much as it is used. The router stays:
    several of its routes lead to one expert. Units are averaged in their places, which is for experts of one origin,
    such as those of an upcycled model. Raises ValueError with one sentence for a model or a number that cannot be.
    """
    sparse_layers_of(model)
    experts = model.config.sparse_experts
    check_merged(keep, experts)
    fields = {"sparse_experts": keep, "sparse_routes": experts}

    def change(index: int, layer: SparseFeedForward) -> dict[str, Tensor]:
        used = usage[index].float().to(layer.gate.weight.device)
        group = _groups(layer, used, keep)
        shares = F.one_hot(group, keep).T * used.clamp(min=1e-6)
        shares = shares / shares.sum(dim=1, keepdim=True)
        means = {name: torch.tensordot(shares, one.float(), dims=1).to(one) for name, one in stacked(layer).items()}
        return means | {"gate.weight": layer.gate.weight, "expert_of": group}

    return remade(model, fields, change)


def check_merged(keep: int, experts: int) -> None:
    """Raises ValueError with one sentence for a number of experts that others cannot be merged into."""
    if not 1 <= keep <= experts:
        raise ValueError(f"{experts} experts cannot be merged into {keep}; use 1 to {experts}")


def _groups(layer: SparseFeedForward, used: Tensor, keep: int) -> Tensor:
    """Which of `keep` merged experts each one goes into, (E,)."""
    weights = (layer.experts.gate_up_proj, layer.experts.down_proj)
    vectors = F.normalize(torch.cat([one.flatten(1).float() for one in weights], dim=1), dim=1)
    apart = used.topk(keep)[1].sort()[0]
    group = (vectors @ vectors[apart].T).argmax(dim=1)
    group[apart] = torch.arange(keep, device=group.device)
    return group
