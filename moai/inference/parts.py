"""A pass over prompts in parts of its rows, layer by layer: fewer states are held at once, and layers come once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from moai.models.fusion import Fusion, GateRecord, LayerGates
from moai.models.sparse.record import LayerRoutes

_OF_ROWS = ("image_mask", "aux", "image_index", "language_index", "language_mask", "language_turns", "token_mask")


@dataclass
class Part:
    """Some rows of a batch on their way through the layers: `residual` and `delta` (N, D), whose sum enters the next
    layer; `fusion` is that of these rows, `image_share` (N, 1), 1 = image token, None without a picture."""

    rows: slice
    fusion: Fusion | None
    image_share: Tensor | None
    residual: Tensor
    delta: Tensor

    def last(self, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Residual and delta (B, D) of the last tokens of these rows, whose lengths are (B,)."""
        rows = len(lengths)
        places = torch.arange(rows, device=lengths.device) * (len(self.residual) // rows) + lengths - 1
        return self.residual[places], self.delta[places]


def parts_of(embeds: Tensor, fusion: Fusion | None, at_once: int | None) -> list[Part]:
    """The rows of embeds (B, S, D), `at_once` in each part, by default and where only some have a picture in one."""
    count = len(embeds)
    step = count if at_once is None or (fusion is not None and fusion.rows is not None) else at_once
    parts = []
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        own = fusion if fusion is None or step >= count else _of_rows(fusion, rows)
        share = None
        if own is not None and own.image_mask is not None:
            share = own.image_mask.reshape(-1, 1).to(embeds.dtype)
        residual = embeds[rows].flatten(0, 1)
        parts.append(Part(rows, own, share, residual, torch.zeros_like(residual)))
    return parts


def _of_rows(fusion: Fusion, rows: slice) -> Fusion:
    """The pass of some of its rows, with a record of its own."""
    held = {name: getattr(fusion, name) for name in _OF_ROWS}
    gates = None if fusion.gates is None else GateRecord()
    return replace(fusion, gates=gates, **{name: None if one is None else one[rows] for name, one in held.items()})


def take_down_gates(fusion: Fusion | None, parts: Sequence[Part]) -> None:
    """What the mixers of all parts said, into the record of the whole."""
    if fusion is None or fusion.gates is None or len(parts) == 1:
        return
    records = [part.fusion.gates.layers for part in parts]  # type: ignore[union-attr]
    for layer in records[0]:
        image, language, mask = zip(*(record[layer] for record in records), strict=True)
        seen = None if image[0] is None else torch.cat(image)
        fusion.gates.layers.setdefault(layer, LayerGates(seen, torch.cat(language), torch.cat(mask)))


def take_down_routes(fusion: Fusion | None, layer: int, said: Sequence[LayerRoutes | None]) -> None:
    """What the router of a layer, if it has one, said in all parts."""
    routes = [one for one in said if one is not None]
    if fusion is None or fusion.experts is None or not routes:
        return
    both = zip(*((one.scores, one.chosen) for one in routes), strict=True)
    scores, chosen = (torch.cat(ones) if len(ones) > 1 else ones[0] for ones in both)
    fusion.experts.take(layer, LayerRoutes(scores, chosen, fusion.token_mask, fusion.image_mask))
