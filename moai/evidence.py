"""Evidence that the language model itself gives: whom its mixers listened to, and which of its experts tokens took."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from moai.models.fusion import GateRecord
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.sparse.record import ExpertRecord, counted, shares_of


@dataclass
class GateShares:
    """Whom one mixer listened to: mean share of each expert, rows sum to 1.

    `layer` is the 1-based decoder layer; `image` maps aux / language / self, `language` maps aux / image / self.
    `aux_map` has, for each image token in row order, the share it gave to the auxiliary tokens.
    """

    layer: int
    image: dict[str, float]
    language: dict[str, float]
    aux_map: list[float]


@dataclass
class ExpertLoads:
    """Which experts of one sparse layer the tokens took: for the picture's, those of the words in the prompt, and those
    of the answer, the share of their choices that fell on each routed expert. Each list sums to 1, or is all 0 where
    there were no such tokens; the last token of an answer chooses nothing.

    `layer` is the 1-based decoder layer.
    """

    layer: int
    image: list[float]
    words: list[float]
    answer: list[float]


@dataclass
class Evidence:
    """Of one answer; empty lists where mixers rested or no layer is sparse."""

    gates: list[GateShares] = field(default_factory=list)
    experts: list[ExpertLoads] = field(default_factory=list)


class Taking:
    """Takes down the evidence of one call of `generate` for a batch.

    `arguments` go with the model's inputs; `routed` False leaves out the experts of sparse layers.
    """

    def __init__(self, model: MoAIForConditionalGeneration, routed: bool = True) -> None:
        self.gates = GateRecord()
        self.experts = ExpertRecord() if routed and model.config.sparse_experts else None

    @property
    def arguments(self) -> dict[str, Any]:
        """For `generate`."""
        return {"gates": self.gates} | ({} if self.experts is None else {"experts": self.experts})

    def told(self, lengths: Sequence[int]) -> list[Evidence]:
        """For each row, whose answer has `lengths[row]` tokens."""
        gates = _gate_shares(self.gates, len(lengths))
        loads = [[] for _ in lengths] if self.experts is None else _expert_loads(self.experts, lengths)
        return [Evidence(*both) for both in zip(gates, loads, strict=True)]


def _gate_shares(record: GateRecord, rows: int) -> list[list[GateShares]]:
    shares: list[list[GateShares]] = [[] for _ in range(rows)]
    for layer, recorded in record.layers.items():
        assert recorded.image is not None  # an assistant's question has a picture
        image, language = recorded.image.float().cpu(), recorded.language.float().cpu()
        valid = recorded.language_mask.cpu()
        for row in range(rows):
            spoken = language[row][valid[row].bool()].mean(dim=0).tolist()
            shares[row].append(
                GateShares(
                    layer + 1,
                    dict(zip(("aux", "language", "self"), image[row].mean(dim=0).tolist(), strict=True)),
                    dict(zip(("aux", "image", "self"), spoken, strict=True)),
                    image[row, :, 0].tolist(),
                )
            )
    return shares


def _expert_loads(record: ExpertRecord, lengths: Sequence[int]) -> list[list[ExpertLoads]]:
    loads: list[list[ExpertLoads]] = [[] for _ in lengths]
    for layer, routes in record.layers.items():
        count = routes.scores.shape[-1]
        prompt, said = routes.chosen.cpu(), record.said.get(layer)
        kinds = [counted(routes, kind) for kind in ("image", "words")]
        masks = [None if mask is None else mask.cpu() for mask in kinds]
        said = prompt[:, :0] if said is None else said.cpu()
        for row, length in enumerate(lengths):
            own = slice(row, row + 1)
            shares = [shares_of(prompt[own], count, None if mask is None else mask[own]) for mask in masks]
            shares.append(shares_of(said[own, : max(length - 1, 0)], count, None))
            loads[row].append(ExpertLoads(layer + 1, *(one.tolist() for one in shares)))
    return loads
