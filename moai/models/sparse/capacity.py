"""A bound on what one expert takes in training, and who is left out where more tokens ask for it: any of them (random
token selection, DeepSpeed-MoE / Z-code M3, arXiv 2109.10465) or those behind (GShard)."""

from dataclasses import dataclass

import torch
from torch import Tensor

SELECTIONS = ("random", "position")
"""How the routes that a full expert takes are chosen."""


@dataclass(frozen=True)
class Capacity:
    """Each expert takes `factor` times its even share of a batch's routes; `by`, one of `SELECTIONS`, says which."""

    factor: float
    by: str = "random"

    def taken(self, chosen: Tensor, experts: int, token_mask: Tensor | None = None) -> Tensor:
        """Which routes (T, K) bool are taken of `chosen` (T, K), indices of `experts` experts, best first.

        An expert takes first choices before second ones and so on; of one rank it takes any, or those in front. Tokens
        that `token_mask` (T,) leaves out ask for nothing. The global generator draws, which activation checkpointing
        sets back, so that a layer which runs again chooses alike.
        """
        tokens, rank = chosen.shape
        asked = chosen if token_mask is None else chosen.masked_fill(~token_mask[:, None], experts)
        count = tokens if token_mask is None else token_mask.sum()
        most = torch.as_tensor(count * rank * self.factor / experts, device=chosen.device).ceil()
        order = torch.arange(tokens, device=chosen.device)
        if self.by == "random":
            order = torch.rand(tokens, device=chosen.device).argsort()
        # Expert by expert; the sort is stable, so within one by rank, and then as `order` says.
        sorted_experts, places = asked[order].T.flatten().sort(stable=True)
        begins = torch.searchsorted(sorted_experts, torch.arange(experts + 1, device=chosen.device))
        before = torch.arange(tokens * rank, device=chosen.device) - begins[sorted_experts]
        fits = (before < most) & (sorted_experts < experts)
        taken = torch.zeros_like(fits).scatter(0, places, fits).view(rank, tokens)
        return torch.zeros_like(taken).scatter(1, order.expand(rank, -1), taken).T
