"""A sparse feed-forward: shared experts that every token passes, and routed ones of which it takes a few
(DeepSeekMoE, arXiv 2401.06066, eq. 9 to 11)."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.activations import ACT2FN

from moai.models.fusion import running_fusion
from moai.models.sparse.capacity import Capacity
from moai.models.sparse.experts import SparseExperts
from moai.models.sparse.record import LayerRoutes

if TYPE_CHECKING:
    from moai.models.configuration import MoAIConfig

SWIGLU = ("gate_proj", "up_proj", "down_proj")
"""Linears of the feed-forwards that sparse layers are made in place of."""


def route(
    hidden_states: Tensor, rows: Tensor, routes: int, active: int, scaling: float, renormalise: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As `SparseRouter.forward`; rows: (routes + P, D)."""
    with torch.autocast(hidden_states.device.type, enabled=False):
        logits = F.linear(hidden_states.float(), rows.float())
    weights, chosen = logits.softmax(dim=-1)[:, :routes].topk(active, dim=-1)
    if renormalise:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return logits[:, :routes], (weights * scaling).to(hidden_states.dtype), chosen


class SparseRouter(nn.Module):
    """Chooses `active` routes for each token by the softmax of its products with `weight` (routes, D), in fp32.

    `pruned` (P, D) are rows of experts that are gone: they keep their share of the softmax and are never chosen.
    The chosen scores are the weights, with `renormalise` divided by their sum; both times `scaling`.
    """

    def __init__(
        self,
        hidden_size: int,
        routes: int,
        active: int,
        scaling: float = 1.0,
        renormalise: bool = False,
        pruned: int = 0,
    ):
        super().__init__()
        self.active, self.scaling, self.renormalise = active, scaling, renormalise
        self.weight = nn.Parameter(torch.empty(routes, hidden_size))
        self.pruned = nn.Parameter(torch.empty(pruned, hidden_size)) if pruned else None

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """hidden_states: (T, D) -> logits (T, routes) in fp32, weights (T, active) as hidden_states, chosen
        (T, active), best first."""
        return route(hidden_states, self.rows(), len(self.weight), self.active, self.scaling, self.renormalise)

    def rows(self) -> Tensor:
        """(routes + P, D), the routes' own first."""
        return self.weight if self.pruned is None else torch.cat((self.weight, self.pruned))

    def scores(self, logits: Tensor) -> Tensor:
        """The softmax over the routes that there are: logits (T, routes) -> (T, routes) in fp32."""
        return logits.float().softmax(dim=-1)


class SharedExperts(nn.Module):
    """The experts that every token passes, as one SwiGLU of all their widths."""

    def __init__(self, config: PreTrainedConfig, width: int):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.down_proj = nn.Linear(width, config.hidden_size, bias=False)
        self.act_fn = ACT2FN[config.hidden_act]

    def forward(self, hidden_states: Tensor) -> Tensor:
        """hidden_states: (..., D) -> (..., D)."""
        return self.down_proj(self.act_fn(self.gate_proj(hidden_states)) * self.up_proj(hidden_states))


class SparseFeedForward(nn.Module):
    """In place of the feed-forward of decoder layer `layer`: shared experts plus each token's routed ones.

    `expert_of` (routes,) is there where several routes lead to one expert, as after experts were merged. A `capacity`
    bounds what an expert takes in training: routes that it does not take weigh nothing.
    """

    capacity: Capacity | None = None

    def __init__(self, config: "MoAIConfig", layer: int):
        super().__init__()
        text, routes = config.text_config, config.sparse_routes or config.sparse_experts
        self.layer = layer
        self.gate = SparseRouter(
            text.hidden_size,
            routes,
            config.sparse_active,
            config.sparse_scaling,
            config.sparse_renormalise,
            config.sparse_pruned,
        )
        self.experts = SparseExperts(
            config, config.sparse_experts, config.sparse_width, config.plora_rank, config.plora_alpha
        )
        shared = config.sparse_shared * config.sparse_width
        self.shared_experts = SharedExperts(text, shared) if shared else None
        if config.sparse_routes:
            self.register_buffer("expert_of", torch.arange(routes) % config.sparse_experts)
        else:
            self.expert_of = None

    def forward(self, hidden_states: Tensor) -> Tensor:
        """hidden_states: (B, S, D) -> (B, S, D), to which the layer adds its residual."""
        tokens = hidden_states.flatten(0, 1)
        logits, weights, chosen = self.gate(tokens)
        experts = chosen if self.expert_of is None else self.expert_of[chosen]
        fusion, place, taken = running_fusion(), hidden_states.shape[:2], None
        if self.training and self.capacity is not None:
            mask = None if fusion is None or fusion.token_mask is None else fusion.token_mask.flatten()
            taken = self.capacity.taken(experts, self.experts.num_experts, mask)
            weights = weights.masked_fill(~taken, 0.0)
        if fusion is not None and fusion.experts is not None:
            routes = LayerRoutes(
                self.gate.scores(logits).unflatten(0, place),
                chosen.unflatten(0, place),
                fusion.token_mask,
                fusion.image_mask,
                None if taken is None else taken.unflatten(0, place),
            )
            fusion.experts.take(self.layer, routes)
        output = self.experts(tokens, experts, weights).view_as(hidden_states)
        return output if self.shared_experts is None else output + self.shared_experts(hidden_states)


def add_sparse_layers(decoder_layers: nn.ModuleList, config: "MoAIConfig") -> None:
    """Replaces the feed-forwards of a decoder from layer `config.sparse_first` on, in place; without sparse experts
    nothing happens. Raises ValueError with one sentence for a decoder that has others than SwiGLU ones."""
    for index in range(config.sparse_first, len(decoder_layers)) if config.sparse_experts else ():
        layer = decoder_layers[index]
        check_swiglu(layer, config.text_config.model_type, index)
        layer.mlp = SparseFeedForward(config, index)


def check_swiglu(layer: nn.Module, family: str, index: int) -> None:
    """Raises ValueError with one sentence where a decoder layer's `mlp` is no plain SwiGLU."""
    mlp = getattr(layer, "mlp", None)
    found = [getattr(mlp, name, None) for name in SWIGLU]
    linears = [one for one in found if isinstance(one, nn.Linear)]
    if len(linears) < len(SWIGLU):
        raise ValueError(
            f"a {family} decoder cannot have sparse layers: layer {index} has no feed-forward of {', '.join(SWIGLU)}"
        )
    if any(one.bias is not None for one in linears):
        raise ValueError(f"a {family} decoder cannot have sparse layers: the feed-forward of layer {index} has biases")


def sparse_layers(model: nn.Module) -> dict[int, SparseFeedForward]:
    """The sparse feed-forwards of a model by their 0-based decoder layers."""
    return {module.layer: module for module in model.modules() if isinstance(module, SparseFeedForward)}
