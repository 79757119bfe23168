"""What the experts of a sparse model are used for on some data, and what the model makes of that data."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from moai.data.registry import build, rows_for
from moai.data.rows import RowSizes, trimmed
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.models.sparse.layer import sparse_layers
from moai.models.sparse.record import ExpertRecord, mass
from moai.training.objective import MoAIObjective, text_alone, totals_of
from moai.training.stages import Stage
from perception.presets import preset_experts

WAYS = ("load", "task", "random")
"""By what experts are kept: the share of the softmax that tokens gave to those they chose; how much the loss of the
answers rests on each (first-order, as Michel et al. 2019 rate heads); or a draw, to compare with."""

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Cost:
    """What a model takes and how well it does: parameters and their `bytes`, `loss` of the answers' words (mean), and
    `seconds` of a pass over a picture with its questions."""

    name: str
    experts: int
    parameters: int
    bytes: int
    loss: float
    seconds: float


def source_of(data: str, cache: str | None = None) -> dict[str, Any]:
    """The data source that `data` names: "drawn", or a JSON file in LLaVA's form; `cache` keeps what experts see."""
    if data == "drawn":
        return {"name": "drawn", "readings": 2}
    return {"name": "llava", "file": data} | ({} if cache is None else {"cache": cache})


def batches_of(
    processor: MoAIProcessor, experts_from: str, source: Mapping[str, Any], count: int, silent: bool = False
) -> list[Batch]:
    """The first `count` samples of a source, a picture with its questions each; `silent`: without the experts' words.

    Raises ValueError as `moai.data.registry.build`, and where there is nothing to learn from.
    """
    sizes = RowSizes(turn=256, aux=384, questions=4)
    experts = () if silent else preset_experts(experts_from)
    rows = rows_for(processor, experts=experts, sizes=sizes, experts_from=experts_from)
    samples = build([source], rows)
    return [trimmed([sample]) for sample in islice(samples, count)]


class Measured:
    """A model with the losses of its answers."""

    def __init__(self, model: MoAIForConditionalGeneration, processor: MoAIProcessor):
        stage = Stage(trains=(), learning_rate=1.0, rows=1, steps=1, data=())
        self.model, self.objective = model, MoAIObjective(model, processor, stage).eval()

    @torch.no_grad()
    def cost(self, name: str, batches: Sequence[Batch]) -> Cost:
        """What the model takes and how well it does on `batches`."""
        losses = weights = 0.0
        for batch in self._placed(batches[:1]):
            self.objective(**batch)  # what only a first pass takes
        started = time.perf_counter()
        for batch in self._placed(batches):
            weight = float(totals_of(batch)["answers"])
            losses, weights = losses + weight * float(self.objective(**batch)["answers"]), weights + weight
        seconds = (time.perf_counter() - started) / len(batches)
        parameters = list(self.model.parameters())
        return Cost(
            name,
            self.model.config.sparse_experts,
            sum(one.numel() for one in parameters),
            sum(one.numel() * one.element_size() for one in parameters),
            losses / max(weights, 1.0),
            seconds,
        )

    def losses(self, batch: Batch, experts: ExpertRecord | None = None) -> Tensor:
        """Those of a batch of text alone, or of its answers about pictures, summed."""
        if text_alone(batch):
            return self.objective.text_losses(batch, experts)
        return self.objective.answer_losses(batch, self.objective.encode(batch), experts)

    def importance(self, by: str, batches: Sequence[Batch], seed: int = 0) -> dict[int, Tensor]:
        """How much each expert matters, (E,) by 0-based decoder layer; `by` is one of `WAYS`, `seed` is for "random".

        Raises ValueError for another.
        """
        if by not in WAYS:
            raise ValueError(f"experts are kept by {', '.join(WAYS)}, not by {by!r}")
        if by == "random":
            generator = torch.Generator().manual_seed(seed)
            layers = sparse_layers(self.model)
            return {index: torch.rand(len(one.gate.weight), generator=generator) for index, one in layers.items()}
        return self._loads(batches) if by == "load" else self._needs(batches)

    @torch.no_grad()
    def _loads(self, batches: Sequence[Batch]) -> dict[int, Tensor]:
        total: dict[int, Tensor] = {}
        for batch in self._placed(batches):
            ids = batch["input_ids"].flatten(0, -2)
            record = ExpertRecord(None if self.objective.pad is None else ids != self.objective.pad)
            self.losses(batch, record)
            for index, routes in record.layers.items():
                total[index] = total.get(index, 0.0) + mass(routes)
        return total

    def _needs(self, batches: Sequence[Batch]) -> dict[int, Tensor]:
        total: dict[int, Tensor] = {}
        self.model.requires_grad_(False)
        for batch in self._placed(batches):
            with _weighed(self.model) as weights, torch.enable_grad():
                self.losses(batch).backward()
            for index, one in weights.items():
                assert one.grad is not None
                total[index] = total.get(index, 0.0) + one.grad.abs()
        return total

    def _placed(self, batches: Sequence[Batch]) -> Iterator[Batch]:
        device = self.model.device
        return ({name: one.to(device) for name, one in batch.items()} for batch in batches)


@contextmanager
def _weighed(model: MoAIForConditionalGeneration) -> Iterator[dict[int, Tensor]]:
    """Meanwhile what each expert gives is multiplied by a weight of 1, whose gradient says what would be missing."""
    layers = sparse_layers(model)
    weights = {
        index: torch.ones(len(one.gate.weight), device=one.gate.weight.device, requires_grad=True)
        for index, one in layers.items()
    }

    def times(weight: Tensor):
        def hook(router, given, output):
            logits, shares, chosen = output
            return logits, shares * weight[chosen].to(shares.dtype), chosen

        return hook

    handles = [one.gate.register_forward_hook(times(weights[index])) for index, one in layers.items()]
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()


def table(costs: Sequence[Cost]) -> str:
    """One line for each model, in Markdown."""
    lines = ["| | experts a layer | parameters | memory | loss | ms a picture |", "| --- |" + " ---: |" * 5]
    lines += [
        f"| {one.name} | {one.experts} | {one.parameters / 1e6:,.1f} M | {one.bytes / 2**20:,.0f} MiB | "
        f"{one.loss:.4f} | {one.seconds * 1000:,.0f} |"
        for one in costs
    ]
    return "\n".join(lines)
