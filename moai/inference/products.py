"""Products of the fast path: linears over the same states, their partial LoRA, and the feed-forwards made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from moai.inference.kernels import few_rows
from moai.models.sparse.branch import BranchWeights
from moai.models.sparse.experts import Stacked, routed_sum
from moai.models.sparse.layer import route

FEW = 64
"""Rows of a step, at most, for which weights in 8 bits are written out."""


@dataclass(frozen=True)
class Branch:
    """Partial LoRA of linears over the same states: `downs` (rank, in), one joined or several, one `ups` (out, rank)
    for each linear."""

    downs: tuple[Tensor, ...]
    ups: tuple[Tensor, ...]
    scaling: float


@dataclass(frozen=True)
class Projection:
    """Linears over the same states, and their biases: one joined, or several where they do not lie joined."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    sizes: tuple[int, ...]
    branch: Branch | None

    def __call__(self, states: Tensor, image_share: Tensor | None = None) -> Tensor:
        """states: (N, in), image_share: (N, 1), 1 = image token, None: without partial LoRA -> (N, sum of sizes).

        Overwrites nothing but its own result; gradients do not flow.
        """
        output = project(states, self.weights, self.biases)
        if image_share is None or self.branch is None:
            return output
        # Masked between the two small products, where a row is short; the second adds to what is there.
        low = project(states, self.branch.downs) * image_share
        start = rank = 0
        for up, size in zip(self.branch.ups, self.sizes, strict=True):
            within = low[:, rank : rank + up.shape[1]]
            output[:, start : start + size].addmm_(within, up.T, alpha=self.branch.scaling)
            start, rank = start + size, rank + up.shape[1]
        return output


def project(states: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> Tensor:
    """states: (..., in) -> (..., out), the outputs of several weights one after another."""
    bias = biases[0] if len(biases) == 1 else torch.cat(tuple(biases)) if biases else None
    if len(weights) == 1:
        return _product(states, weights[0], bias)
    output = torch.cat([_product(states, weight) for weight in weights], dim=-1)
    return output if bias is None else output + bias


def _product(states: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear whose weight may be torchao's in 8 bits. For few rows such a weight is read as it lies or, where that
    cannot be, written out as plain numbers first, if a compiler makes one pass over it of that."""
    inside = (getattr(weight, name, None) for name in ("qdata", "scale", "zero_point"))
    numbers, scale, zero = inside
    if numbers is None or numbers.dtype != torch.int8 or scale.ndim != 2 or scale.shape[0] != numbers.shape[0]:
        return F.linear(states, weight, bias)
    if few_rows.can_multiply(states, numbers, scale, zero):
        output = few_rows.multiply(states, numbers, scale, zero)
        return output if bias is None else output + bias
    if 1 < states.shape[0] <= FEW and torch.compiler.is_compiling():
        shifted = numbers.float() if zero is None else numbers.float() - zero.float()
        weight = (shifted * scale.float()).to(states.dtype)
    return F.linear(states, weight, bias)


@dataclass(frozen=True)
class DenseWeights:
    """A SwiGLU feed-forward."""

    gated: Projection
    down: Projection


@dataclass(frozen=True)
class SparseWeights:
    """A sparse feed-forward (`moai.models.sparse.layer`): `rows` (routes + P, D) of its router, of which each state
    takes `active` of the first `routes`, `gate_up` (E, 2 F, D) and `down` (E, D, F) of its experts, and those that
    every state passes, if any. `expert_of` (routes,), where several routes lead to one expert."""

    rows: Tensor
    routes: int
    active: int
    scaling: float
    renormalise: bool
    gate_up: Tensor
    down: Tensor
    implementation: str
    expert_of: Tensor | None = None
    shared: DenseWeights | None = None
    branches: BranchWeights | None = None

    def choices(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (N, routes) of states (N, D), the weights (N, K) of the routes they take, and these (N, K)."""
        return route(states, self.rows, self.routes, self.active, self.scaling, self.renormalise)

    def experts(self, chosen: Tensor) -> Tensor:
        """The experts to which routes lead."""
        return chosen if self.expert_of is None else self.expert_of[chosen]

    def product(self, states: Tensor, chosen: Tensor, weights: Tensor, image_share: Tensor | None = None) -> Tensor:
        """What the routed experts give (N, D), by transformers' product; image tokens pass their branches."""
        stacked = Stacked(len(self.gate_up), self.gate_up, self.down, gate)
        return routed_sum(
            states, self.experts(chosen), weights, stacked, self.implementation, self.branches, image_share
        )


def gate(joined: Tensor) -> Tensor:
    """The gated states (N, F) of gate and up (N, 2 F)."""
    first, second = joined.chunk(2, dim=-1)
    return F.silu(first) * second


def feed_token(states: Tensor, weights: DenseWeights | SparseWeights) -> tuple[Tensor, Tensor | None]:
    """What a feed-forward makes of one token a row, (B, D) -> (B, D), and the routes (B, K) that it took, if any."""
    if isinstance(weights, DenseWeights):
        gated, up = project(states, weights.gated.weights, weights.gated.biases).split(weights.gated.sizes, dim=-1)
        return project(F.silu(gated) * up, weights.down.weights, weights.down.biases), None
    _, shares, chosen = weights.choices(states)
    # Few rows read each their own experts; many would read the same ones again and again.
    if chosen.numel() > len(weights.gate_up) and states.dtype == torch.bfloat16:
        output = weights.product(states, chosen, shares)
    else:
        output = gathered(states, weights.experts(chosen), shares, weights.gate_up, weights.down)
    return output if weights.shared is None else output + feed_token(states, weights.shared)[0], chosen


def gathered(states: Tensor, chosen: Tensor, shares: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Sums (B, D) of experts (B, K) for states (B, D), each row's own weights times its states, in fp32.

    Written as sums over products, which a compiler makes one kernel that reads the chosen experts and nothing else.
    """
    inner = (gate_up[chosen].float() * states.float()[:, None, None]).sum(dim=-1).to(states.dtype)
    given = (down[chosen].float() * gate(inner).float()[:, :, None]).sum(dim=-1).to(states.dtype)
    return (given.float() * shares.float()[..., None]).sum(dim=1).to(states.dtype)
