"""Sparse models made of sparse models: other experts, all else as it was."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from transformers.initialization import no_init_weights

from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.layer import SparseFeedForward, sparse_layers

STACKED = (
    "experts.gate_up_proj",
    "experts.down_proj",
    "experts.branches.gate_up.lora_B.weight",
    "experts.branches.down.lora_A.weight",
)
"""Weights of a sparse layer that have one matrix for each expert."""


def sparse_layers_of(model: MoAIForConditionalGeneration) -> dict[int, SparseFeedForward]:
    """The sparse layers by their decoder layers; raises ValueError with one sentence for a model that has none of ours,
    for one with LoRA beside its weights, and for one whose experts were merged."""
    layers = sparse_layers(model)
    if not layers:
        raise ValueError("the model has no sparse layers that `moai upcycle` makes")
    if model.config.lora:
        raise ValueError("the model has LoRA beside its weights; merge it first")
    if model.config.sparse_routes:
        raise ValueError("the model's experts were merged already, so several routes lead to one of them")
    return layers


def stacked(layer: SparseFeedForward) -> dict[str, Tensor]:
    """Weights of a sparse layer with one matrix for each expert, (E, ...), by their names in it."""
    state = layer.state_dict()
    return {name: state[name] for name in STACKED if name in state}


@torch.no_grad()
def remade(
    model: MoAIForConditionalGeneration,
    fields: Mapping[str, int],
    change: Callable[[int, SparseFeedForward], dict[str, Tensor]],
    rest: Mapping[str, Tensor] | None = None,
) -> MoAIForConditionalGeneration:
    """A model of the same precision with other `fields` in its configuration and other sparse layers.

    change: what of the state of a sparse layer, in decoder layer `index`, is another one, by the names in it; rest:
    what of the others is, by the names in the model. Raises ValueError for sizes that cannot be.
    """
    told: MoAIConfig = copy.deepcopy(model.config)
    for name, value in fields.items():
        setattr(told, name, value)
    told.__post_init__()
    state = dict(model.state_dict()) | dict(rest or {})
    for index, layer in sparse_layers(model).items():
        prefix = f"language_model.layers.{index}.mlp."
        state |= {prefix + name: one for name, one in change(index, layer).items()}
    with no_init_weights():
        made = MoAIForConditionalGeneration._from_config(told, dtype=model.dtype)
    made.load_state_dict(state)
    made.tie_weights()
    made.generation_config = copy.deepcopy(model.generation_config)
    return made.to(model.device).train(model.training)
