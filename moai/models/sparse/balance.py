"""Losses that keep the experts of each sparse layer busy alike (DeepSeekMoE, arXiv 2401.06066, eq. 12 to 17)."""

import torch
from torch import Tensor

from moai.models.sparse.record import ExpertRecord, LayerRoutes, shares_of


def expert_balance(routes: LayerRoutes) -> Tensor:
    """sum_i f_i P_i () of one layer: 1 when all routes are taken alike, R / K when the same K are always taken.

    f_i = R / (K T) times the tokens that chose route i; P_i is the mean of its score over the T tokens.
    """
    frequency, probability = _means(routes)
    return (frequency * probability).sum()


def device_balance(routes: LayerRoutes, devices: int) -> Tensor:
    """sum_d f'_d P'_d () of one layer, its routes shared out evenly and in order over `devices`: f'_d is the mean of a
    device's f, P'_d the sum of its P. 1 when all devices have as much to do.

    Raises ValueError where the routes cannot be shared out evenly.
    """
    frequency, probability = _means(routes)
    if devices < 1 or len(frequency) % devices:
        raise ValueError(f"{len(frequency)} experts cannot be shared out evenly over {devices} devices")
    return (frequency.view(devices, -1).mean(dim=1) * probability.view(devices, -1).sum(dim=1)).sum()


def balance_loss(record: ExpertRecord, expert_weight: float, device_weight: float = 0.0, devices: int = 1) -> Tensor:
    """Both losses (), weighted and summed over the layers of `record`, each layer by itself; 0 without sparse layers.

    Raises ValueError as `device_balance`.
    """
    total = torch.zeros(())
    for routes in record.layers.values():
        total = total.to(routes.scores.device)
        if expert_weight:
            total = total + expert_weight * expert_balance(routes)
        if device_weight:
            total = total + device_weight * device_balance(routes, devices)
    return total


def _means(routes: LayerRoutes) -> tuple[Tensor, Tensor]:
    """f and P, each (R,), over the tokens that are not padding."""
    scores, mask = routes.scores, routes.token_mask
    frequency = shares_of(routes.chosen, scores.shape[-1], mask) * scores.shape[-1]
    if mask is None:
        return frequency, scores.mean(dim=(0, 1))
    share = mask.to(scores.dtype)
    return frequency, torch.einsum("bsr,bs->r", scores, share) / share.sum().clamp(min=1.0)
