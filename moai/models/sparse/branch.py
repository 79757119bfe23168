"""Partial LoRA of routed experts, which are no linears: its factors lie beside the experts' stacked weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moai.models.plora import Factor


class Factors(nn.Module):
    """A low-rank factor for each of E experts, `weight` (E, out, in)."""

    def __init__(self, experts: int, in_features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, out_features, in_features))


class ExpertBranch(nn.Module):
    """`lora_A` before `lora_B`, one of the two shared by all experts."""

    def __init__(self, lora_A: Factor | Factors, lora_B: Factor | Factors):
        super().__init__()
        self.lora_A, self.lora_B = lora_A, lora_B


@dataclass(frozen=True)
class BranchWeights:
    """Weights of `ExpertBranches`, first and second factors of both products, and what their results are scaled by."""

    gate_up_in: Tensor
    gate_up_out: Tensor
    down_in: Tensor
    down_out: Tensor
    scaling: float


class ExpertBranches(nn.Module):
    """What image tokens get beyond the experts' own products, as `PartialLoRALinear` gives it to linears.

    gate_up: `lora_A` (2 rank, D) is shared, as all experts read the same states; `lora_B` is (E, 2 F, 2 rank).
    down: `lora_A` is (E, rank, F); `lora_B` (D, rank) is shared, as what the experts give is summed.
    """

    def __init__(self, experts: int, hidden_size: int, width: int, rank: int, alpha: float):
        super().__init__()
        self.gate_up = ExpertBranch(Factor(hidden_size, 2 * rank), Factors(experts, 2 * rank, 2 * width))
        self.down = ExpertBranch(Factors(experts, width, rank), Factor(rank, hidden_size))
        self.scaling = alpha / rank

    def weights(self) -> BranchWeights:
        """The factors as they lie."""
        up, down = self.gate_up, self.down
        return BranchWeights(up.lora_A.weight, up.lora_B.weight, down.lora_A.weight, down.lora_B.weight, self.scaling)
