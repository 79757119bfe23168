"""Partial LoRA: a low-rank branch on linears of the decoder that acts on image tokens only."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moai.models.fusion import running_fusion

FROM_CACHE = ("kv_b_proj",)
"""Linears of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434) that read the whole cache at every step."""


class Factor(nn.Module):
    """One of the two matrices of partial LoRA. No `nn.Linear`, so that what adapts or quantises all linears of a model
    leaves it alone."""

    def __init__(self, in_features: int, out_features: int, **placement):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features, **placement))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, states: Tensor) -> Tensor:
        """states: (..., in) -> (..., out)."""
        return F.linear(states, self.weight)


class PartialLoRALinear(nn.Linear):
    """y = W x, and for image tokens y = W x + (alpha / rank) B A x (InternLM-XComposer2, arXiv 2401.16420, sec. 3.2).

    `weight` keeps its state-dict key; `lora_A` (rank, in) and `lora_B` (out, rank) come beside it.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        placement = dict(device=linear.weight.device, dtype=linear.weight.dtype)
        self.lora_A = Factor(linear.in_features, rank, **placement)
        self.lora_B = Factor(rank, linear.out_features, **placement)
        self.scaling = alpha / rank

    def forward(self, states: Tensor) -> Tensor:
        """states: (B, S, in), or all tokens of the batch as (B * S, in) -> the same with `out` in place of `in`."""
        output = super().forward(states)
        fusion = running_fusion()
        if fusion is None or fusion.image_mask is None:
            return output
        share = fusion.image_mask[..., None]
        if states.ndim == 2:  # as mixtures of experts take their tokens
            share = share.flatten(0, 1)
        return output + self.lora_B(self.lora_A(states) * (share * self.scaling).to(states.dtype))


def add_partial_lora(decoder_layers: nn.ModuleList, rank: int, alpha: float) -> None:
    """Give every linear of every decoder layer its image-token branch, in place.

    Linears that are handed other tokens than the pass has keep to themselves, as they could not tell which are the
    picture's: routed experts, and what spells out the cached latents of earlier tokens.
    """
    for layer in decoder_layers:
        experts = [module for name, module in layer.named_modules() if name.split(".")[-1] == "experts"]
        routed = {id(module) for one in experts for module in one.modules()}
        for parent in list(layer.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear and id(parent) not in routed and name not in FROM_CACHE:
                    setattr(parent, name, PartialLoRALinear(child, rank, alpha))
