"""AdamW for vectors, tables and convolutions; orthogonalised momentum (Muon) for the matrices in between."""

from collections import defaultdict

import torch
from torch import Tensor

from moai.training.sharding import like, whole

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration (Jordan et al. 2024, kellerjordan.github.io/posts/muon)."""


def is_matrix(parameter: Tensor, tables: tuple[Tensor, ...]) -> bool:
    """Whether a parameter is one that Muon is for: it maps vectors to vectors, unlike `tables` of vectors."""
    return parameter.ndim == 2 and all(parameter is not table for table in tables)


def orthogonalized(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearly U V^T of each matrix U S V^T in (N, R, C), by Newton-Schulz; in bf16 on an accelerator."""
    first, third, fifth = NEWTON_SCHULZ
    wide = matrices.shape[1] <= matrices.shape[2]
    states = matrices if wide else matrices.mT
    states = states.bfloat16() if states.device.type != "cpu" else states
    states = states / (states.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = states @ states.mT
        states = first * states + torch.baddbmm(third * square, square, square, alpha=fifth) @ states
    return (states if wide else states.mT).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Groups with `orthogonal` true take steps of orthogonalised momentum, the others those of AdamW.

    A step is scaled by 0.2 sqrt(max(R, C)), which gives it AdamW's usual size, so one learning rate serves both
    (Liu et al. 2025, arXiv 2502.16982, sec. 2.2). torch.optim.Muon takes one matrix after another, dozens of kernels
    for each; here those of one shape go together, since a small model has hundreds. Parameters may be split over
    several processes: each of them then orthogonalises the whole matrices.
    """

    def __init__(
        self,
        groups: list[dict],
        lr: float,
        momentum: float = 0.95,
        betas=(0.9, 0.98),
        fused: bool = False,
        weight_decay: float = 0.0,
    ):
        plain = [group for group in groups if not group["orthogonal"]]
        self.adamw = torch.optim.AdamW(plain, lr, betas, weight_decay=weight_decay, fused=fused) if plain else None
        others = [] if self.adamw is None else self.adamw.param_groups
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__([*(group for group in groups if group["orthogonal"]), *others], defaults)
        self._share()

    def _share(self) -> None:
        # One set of groups and states, so that schedules and checkpoints see a single optimiser.
        if self.adamw is not None:
            self.adamw.param_groups = [group for group in self.param_groups if not group["orthogonal"]]
            self.adamw.state = self.state

    def load_state_dict(self, state_dict: dict) -> None:
        """As any optimiser's."""
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure=None):
        """One step on the gradients that are there."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.adamw is not None:
            self.adamw.step()
        for group in self.param_groups:
            if group["orthogonal"]:
                alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        alike[parameter.shape].append(parameter)
                for parameters in alike.values():
                    self._step(parameters, group)
        return loss

    def _step(self, parameters: list[Tensor], group: dict) -> None:
        rate, momentum = group["lr"], group["momentum"]
        gradients = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        moments = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(moments, gradients, 1 - momentum)
        ahead = [gradient.clone() for gradient in gradients]
        torch._foreach_lerp_(ahead, moments, momentum)  # Nesterov's; in place, as older torch shares out that alone
        steps = orthogonalized(torch.stack([whole(one) for one in ahead])).unbind()
        scale = 0.2 * max(parameters[0].shape) ** 0.5
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - rate * group["weight_decay"])
        moves = [like(step, parameter) for step, parameter in zip(steps, parameters, strict=True)]
        torch._foreach_add_(parameters, moves, alpha=-rate * scale)
