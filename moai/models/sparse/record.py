"""Which experts the tokens of a pass took, layer by layer."""

from typing import NamedTuple

import torch
from torch import Tensor


class LayerRoutes(NamedTuple):
    """What one router said: `scores` (B, S, R) in fp32, each token's softmax over the R routes, and `chosen` (B, S, K).

    `token_mask` (B, S) bool leaves out padding, None: all are tokens. `image_mask` (B, S) bool, None without a picture.
    `taken` (B, S, K) bool: which of the choices their experts had room for, None: all.
    """

    scores: Tensor
    chosen: Tensor
    token_mask: Tensor | None
    image_mask: Tensor | None
    taken: Tensor | None = None


class ExpertRecord:
    """Given to `forward` or `generate` as `experts`, holds afterwards what the routers of sparse layers said: `layers`
    maps the 0-based decoder layer to its `LayerRoutes`. Empty for a dense model; of several passes the first is kept.

    `token_mask` (B, S) bool leaves out padding, by default what the pass's attention mask leaves out. Gradients flow
    through `scores` where the pass had them. `said` maps each layer to the routes (B, N, K) of the N tokens that later
    passes read, one each: those of an answer, up to its last but one. Behind the end of a shorter answer in the same
    batch they mean nothing.
    """

    def __init__(self, token_mask: Tensor | None = None) -> None:
        self.token_mask = token_mask
        self.layers: dict[int, LayerRoutes] = {}
        self.said: dict[int, Tensor] = {}

    def take(self, layer: int, routes: LayerRoutes) -> None:
        """Keeps what a router said in the first pass, and of later ones the routes of their last tokens."""
        if layer not in self.layers:
            self.layers[layer] = routes
            return
        last = routes.chosen[:, -1:]
        self.said[layer] = last if layer not in self.said else torch.cat((self.said[layer], last), dim=1)


def counted(routes: LayerRoutes, kind: str = "all") -> Tensor | None:
    """Which tokens (B, S) bool are of a kind: "all", "image" or "words"; None means every one. Padding never is.

    Raises ValueError for another kind.
    """
    if kind not in ("all", "image", "words"):
        raise ValueError(f"unknown kind of tokens {kind!r}; allowed are all, image, words")
    mask, image = routes.token_mask, routes.image_mask
    if kind == "all":
        return mask
    if image is None:
        image = torch.zeros(routes.chosen.shape[:2], dtype=torch.bool, device=routes.chosen.device)
    wanted = image if kind == "image" else image.logical_not()
    return wanted if mask is None else wanted & mask


def loads(routes: LayerRoutes, kind: str = "all") -> Tensor:
    """The share (R,) of the tokens' choices that fell on each route, in 0..1; zeros where no token is of the `kind`."""
    return shares_of(routes.chosen, routes.scores.shape[-1], counted(routes, kind))


def shares_of(chosen: Tensor, count: int, mask: Tensor | None) -> Tensor:
    """The share (count,) in fp32 of choices (B, S, K) that fell on each of `count`, those of `mask` (B, S) alone."""
    weights = torch.ones_like(chosen, dtype=torch.float32)
    if mask is not None:
        weights = weights * mask[..., None]
    taken = torch.zeros(count, device=chosen.device).index_add_(0, chosen.flatten(), weights.flatten())
    return taken / taken.sum().clamp(min=1.0)


def mass(routes: LayerRoutes, kind: str = "all") -> Tensor:
    """The share (R,) of the softmax that each route was given by the tokens that chose it, in 0..1."""
    given = torch.zeros_like(routes.scores).scatter(-1, routes.chosen, routes.scores.gather(-1, routes.chosen))
    mask = counted(routes, kind)
    given = given.flatten(0, 1) if mask is None else given[mask]
    return given.sum(dim=0) / max(len(given), 1)


def dropped(routes: LayerRoutes) -> Tensor:
    """The share () of the tokens' choices that their experts had no room for, in 0..1."""
    if routes.taken is None:
        return torch.zeros((), device=routes.chosen.device)
    lost = routes.taken.logical_not().float().mean(dim=-1)
    mask = routes.token_mask
    return lost.mean() if mask is None else (lost * mask).sum() / mask.sum().clamp(min=1)
