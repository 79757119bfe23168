"""The routed experts of a sparse layer: transformers' products over stacked weights, and a loop as the plain reference.

`config._experts_implementation` says which: "grouped_mm" (one grouped product), "batched_mm", "eager" (the loop), ...
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from moai.models.fusion import running_fusion
from moai.models.sparse.branch import BranchWeights, ExpertBranches
from moai.models.sparse.sizes import ALIGNED

if TYPE_CHECKING:
    from moai.models.configuration import MoAIConfig


@dataclass
class Stacked:
    """Experts as transformers' products read them: E, `gate_up_proj` (E, 2 F, D), `down_proj` (E, D, F), the gate."""

    num_experts: int
    gate_up_proj: Tensor
    down_proj: Tensor
    _apply_gate: Callable[[Tensor], Tensor]
    has_gate: ClassVar[bool] = True
    has_bias: ClassVar[bool] = False
    has_post_expert_norm: ClassVar[bool] = False
    is_transposed: ClassVar[bool] = False
    _is_expert_parallel: ClassVar[bool] = False


Product = Callable[[Stacked, Tensor, Tensor, Tensor], Tensor]
"""Experts, states (T, D), indices of experts (T, K) and weights (T, K) -> weighted sums (T, D)."""


class Placement(Protocol):
    """Where the experts are if not all of them are here."""

    def weight(self, weight: Tensor, training: bool) -> Tensor:
        """Of a weight (E, ...) what is computed with here: in training a part, else all of it."""

    def product(self, product: Product) -> Product:
        """The product over all experts, by one over those that are here."""


def product_of(implementation: str) -> Product:
    """The product of a name that transformers gave it, "eager" for `looped`."""
    return ALL_EXPERTS_FUNCTIONS.get_interface(implementation, looped)


def routed_sum(
    hidden_states: Tensor,
    chosen: Tensor,
    weights: Tensor,
    experts: Stacked,
    implementation: str | Product,
    branches: BranchWeights | None = None,
    image_share: Tensor | None = None,
) -> Tensor:
    """What each token's experts give, weighted and summed: (T, D).

    hidden_states: (T, D); chosen: (T, K), indices of experts; weights: (T, K); implementation: a name of transformers'
    products, or another one; image_share: (T, 1), 1 = image token, which gets `branches` besides.
    """
    product = product_of(implementation) if isinstance(implementation, str) else implementation
    if branches is None or image_share is None:
        return product(experts, hidden_states, chosen, weights)
    # The branches ride along: what their first factors make of a state stands behind it, and is read with it by
    # wider weights. So one product, whichever it is, does both.
    size = hidden_states.shape[1]
    gate_up, down = experts.gate_up_proj, experts.down_proj
    share = (image_share * branches.scaling).to(hidden_states.dtype)
    low = F.linear(hidden_states, branches.gate_up_in) * share
    extra = -(-low.shape[-1] // ALIGNED) * ALIGNED
    wide = torch.cat((hidden_states, F.pad(low, (0, extra - low.shape[-1])).to(hidden_states.dtype)), dim=-1)
    beside, below = branches.gate_up_out.to(gate_up.dtype), branches.down_in.to(down.dtype)
    gate_up = torch.cat((gate_up, F.pad(beside, (0, extra - beside.shape[2]))), dim=2)
    down = torch.cat((down, F.pad(below, (0, 0, 0, extra - below.shape[1]))), dim=1)
    wider = Stacked(experts.num_experts, gate_up, down, experts._apply_gate)
    given = product(wider, wide, chosen, weights)
    low = given[:, size : size + below.shape[1]] * share
    return given[:, :size] + F.linear(low, branches.down_out).to(given.dtype)


class SparseExperts(nn.Module):
    """E SwiGLU feed-forwards of width F: `gate_up_proj` (E, 2 F, D) and `down_proj` (E, D, F).

    With a `rank`, image tokens get the branches of partial LoRA (`ExpertBranches`). While several processes train them,
    each of which has a part, `placement` says where they are.
    """

    placement: Placement | None = None

    def __init__(self, config: "MoAIConfig", experts: int, width: int, rank: int = 0, alpha: float = 1.0):
        super().__init__()
        text = config.text_config
        self.config = config
        self.num_experts = experts
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * width, text.hidden_size))
        self.down_proj = nn.Parameter(torch.empty(experts, text.hidden_size, width))
        self.act_fn = ACT2FN[text.hidden_act]
        self.branches = ExpertBranches(experts, text.hidden_size, width, rank, alpha) if rank else None

    def forward(self, hidden_states: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """As `routed_sum`, about the image tokens of the pass that is running."""
        fusion = running_fusion()
        share = None if fusion is None or fusion.image_mask is None else fusion.image_mask.reshape(-1, 1)
        stacked = self.stacked(self._computed(self.gate_up_proj), self._computed(self.down_proj))
        branches = None if self.branches is None else self.branches.weights()
        product = product_of(self.config._experts_implementation)
        if self.placement is not None and branches is not None:
            beside, below = self._computed(branches.gate_up_out), self._computed(branches.down_in)
            branches = replace(branches, gate_up_out=beside, down_in=below)
        if self.placement is not None and self.training:
            product = self.placement.product(product)
        return routed_sum(hidden_states, chosen, weights, stacked, product, branches, share)

    def stacked(self, gate_up: Tensor, down: Tensor) -> Stacked:
        """These weights with the layer's gate."""
        return Stacked(self.num_experts, gate_up, down, self._gated)

    def _computed(self, weight: Tensor) -> Tensor:
        """A weight in the precision that is computed in: grouped products do not know autocast."""
        if self.placement is not None:
            weight = self.placement.weight(weight, self.training)
        kind = weight.device.type
        return weight.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else weight

    def _gated(self, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        return self.act_fn(gate) * up


def looped(experts: Stacked, hidden_states: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
    """One expert after another, as `routed_sum`; sums in fp32."""
    total = torch.zeros_like(hidden_states, dtype=torch.float32)
    for expert in range(experts.num_experts):
        tokens, places = torch.where(chosen == expert)
        states = hidden_states[tokens].to(experts.gate_up_proj.dtype)
        inner = experts._apply_gate(F.linear(states, experts.gate_up_proj[expert]))
        given = F.linear(inner, experts.down_proj[expert]) * weights[tokens, places, None]
        total = total.index_add(0, tokens, given.float())
    return total.to(hidden_states.dtype)
