"""Fewer experts in each sparse layer: those that matter least are left out (DeepSpeed-MoE / Z-code M3,
arXiv 2109.10465)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.layer import SparseFeedForward
from moai.models.sparse.remaking import remade, sparse_layers_of, stacked


def prune(
    model: MoAIForConditionalGeneration, keep: int, importance: Mapping[int, Tensor]
) -> MoAIForConditionalGeneration:
    """A model with the `keep` most important routed experts of each sparse layer; `model` stays as it is.

    importance: (E,) by 0-based decoder layer. Where the router does not renormalise, the rows of those that go stay in
    it: they keep their share of the softmax, so a token whose experts are all there gets what it got. Raises ValueError
    with one sentence for a model or a number that cannot be.
    """
    layers, config = sparse_layers_of(model), model.config
    check_keep(keep, config.sparse_experts, config.sparse_active)
    lost = 0 if config.sparse_renormalise else config.sparse_experts - keep
    fields = {"sparse_experts": keep, "sparse_pruned": config.sparse_pruned + lost}
    kept = {index: importance[index].topk(keep)[1].sort()[0] for index in layers}

    def change(index: int, layer: SparseFeedForward) -> dict[str, Tensor]:
        chosen = kept[index].to(layer.gate.weight.device)
        gone = torch.ones(config.sparse_experts, dtype=torch.bool, device=chosen.device)
        gone[chosen] = False
        state = {name: one[chosen] for name, one in stacked(layer).items()}
        state["gate.weight"] = layer.gate.weight[chosen]
        if fields["sparse_pruned"]:
            before = [] if layer.gate.pruned is None else [layer.gate.pruned]
            state["gate.pruned"] = torch.cat((*before, layer.gate.weight[gone])) if lost else before[0]
        return state

    return remade(model, fields, change)


def check_keep(keep: int, experts: int, active: int) -> None:
    """Raises ValueError with one sentence for a number of experts that cannot be kept."""
    if not active <= keep <= experts:
        raise ValueError(
            f"{keep} of {experts} experts cannot be kept: {active} are active for each token; use {active} to {experts}"
        )
