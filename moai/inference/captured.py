"""Reading short prompts as one CUDA graph: the host launches their kernels more slowly than the device runs them.

A graph has fixed shapes, so prompts are padded on the right to a multiple of some tokens, which no token before sees.
"""

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from moai.inference.decoding import Bucket
from moai.inference.graphs import Graphs
from moai.inference.prefill import Prefill
from moai.models.fusion import Fusion, GateRecord, LayerGates
from moai.models.sparse.record import ExpertRecord, LayerRoutes

WIDTH_STEP, COARSE_STEP = 64, 256
"""Prompts of up to so many tokens more use the same graph; of a small decoder, whose kernels take the same time anyway,
so that it makes few of them."""
MAX_TOKENS = 4096
"""Tokens of a batch above which kernels outlast their launches, and nothing is captured."""
LONGER = 192
"""At the first prompt about pictures of a kind graphs are made for questions of up to so many tokens more as well."""


def padded_width(width: int, step: int = WIDTH_STEP) -> int:
    """The width of the graph for prompts of `width` tokens."""
    return -(-width // step) * step


@dataclass
class CapturedPass:
    """One pass over prompts of a fixed shape, on tensors at fixed addresses; `logits` (B, V), `gates` and `experts`
    come out."""

    embeds: Tensor
    lengths: Tensor
    fusion: Fusion | None
    logits: Tensor | None = None
    gates: GateRecord = field(default_factory=GateRecord)
    experts: ExpertRecord = field(default_factory=ExpertRecord)
    graph: torch.cuda.CUDAGraph | None = None

    def take(self, embeds: Tensor, lengths: Tensor, fusion: Fusion | None) -> None:
        """Copies what a pass reads, of the same shapes."""
        pairs = [(self.embeds, embeds), (self.lengths, lengths)]
        for name in _TENSORS:
            if fusion is not None and getattr(fusion, name) is not None:
                pairs.append((getattr(self.fusion, name), getattr(fusion, name)))
        for mine, given in pairs:
            mine.copy_(given)


_TENSORS = ("image_mask", "aux", "image_index", "language_index", "language_mask")


class CapturedPrefill:
    """`Prefill`, captured for short prompts; others, and passes with rows of several kinds, run as written.

    With `graphs` None passes run on the same padded tensors without a graph, which a CPU can do. `step`: of what widths
    are multiples.
    """

    def __init__(self, prefill: Prefill, graphs: Graphs | None, step: int = WIDTH_STEP):
        self.prefill = prefill
        self.graphs = graphs
        self.step = step

    def __call__(self, embeds: Tensor, lengths: Tensor, bucket: Bucket, fusion: Fusion | None) -> Tensor:
        """As `Prefill`."""
        rows, width, _ = embeds.shape
        at_least = padded_width(width, self.step)
        if rows * at_least > MAX_TOKENS or not _is_usual(fusion):
            return self.prefill(embeds, lengths, bucket, fusion)
        key = _shape(embeds, fusion, at_least)
        if key not in bucket.prompts:
            for wider in range(at_least, at_least + (LONGER if self.graphs else 1), self.step):
                if wider <= bucket.length and rows * wider <= MAX_TOKENS:
                    made = self._made(*_padded(embeds, fusion, wider), lengths, bucket)
                    bucket.prompts.setdefault(_shape(embeds, fusion, wider), made)
        captured = bucket.prompts[key]
        padded, padded_fusion = _padded(embeds, fusion, at_least)
        captured.take(padded, lengths, padded_fusion)
        if captured.graph is None:
            captured.logits = self._run(captured, bucket)
        else:
            captured.graph.replay()
        if fusion is not None and fusion.gates is not None:
            _take_down(fusion, captured.gates)
        if fusion is not None and fusion.experts is not None:
            for layer, said in captured.experts.layers.items():
                scores, chosen = said.scores[:, :width].clone(), said.chosen[:, :width].clone()
                routes = LayerRoutes(scores, chosen, fusion.token_mask, fusion.image_mask)
                fusion.experts.take(layer, routes)
        assert captured.logits is not None
        return captured.logits.clone()

    def _run(self, captured: CapturedPass, bucket: Bucket) -> Tensor:
        captured.gates.layers.clear()
        captured.experts.layers.clear()
        return self.prefill(captured.embeds, captured.lengths, bucket, captured.fusion)

    def _made(self, embeds: Tensor, fusion: Fusion | None, lengths: Tensor, bucket: Bucket) -> CapturedPass:
        """A pass of these shapes, which holds copies of what it was made with."""
        copies = {name: getattr(fusion, name) for name in _TENSORS} if fusion is not None else {}
        copies = {name: None if one is None else one.clone() for name, one in copies.items()}
        captured = CapturedPass(embeds.clone(), lengths.clone(), None)
        if fusion is not None:
            records = {"gates": captured.gates, "experts": captured.experts}
            captured.fusion = replace(fusion, **copies, **records, token_mask=None)
        if self.graphs is None:
            return captured
        captured.graph, captured.logits = self.graphs.captured(lambda: self._run(captured, bucket), embeds.device)
        return captured


def _is_usual(fusion: Fusion | None) -> bool:
    """Whether all rows are of one kind, and nothing is drawn at random."""
    return fusion is None or (fusion.rows is None and fusion.language_turns is None and fusion.routing != "random")


def _shape(embeds: Tensor, fusion: Fusion | None, width: int) -> tuple:
    """What a graph is made for."""
    if fusion is None:
        return (len(embeds), width)
    parts = (fusion.image_index, fusion.aux)
    numbers = tuple(None if part is None else part.shape[1] for part in parts)
    return (len(embeds), width, fusion.image_mask is not None, *numbers, fusion.routing)


def _padded(embeds: Tensor, fusion: Fusion | None, width: int) -> tuple[Tensor, Fusion | None]:
    """Embeds (B, width, D) and a pass that knows the positions added on the right, which nothing sees."""
    rows, before, _ = embeds.shape
    more = width - before
    embeds = F.pad(embeds, (0, 0, 0, more))
    if fusion is None or not more:
        return embeds, fusion
    changed = {}
    if fusion.image_mask is not None:
        changed["image_mask"] = F.pad(fusion.image_mask, (0, more))
    if fusion.language_index is not None and fusion.language_mask is not None:
        added = torch.arange(before, width, device=embeds.device).expand(rows, more)
        changed["language_index"] = torch.cat((fusion.language_index, added), dim=1)
        changed["language_mask"] = F.pad(fusion.language_mask, (0, more))
    return embeds, replace(fusion, **changed)


def _take_down(fusion: Fusion, gates: GateRecord) -> None:
    """What the mixers of a padded pass said, for the tokens that there are."""
    assert fusion.gates is not None and (fusion.language_index is not None or not gates.layers)
    for layer, said in gates.layers.items():
        assert fusion.language_index is not None
        count = fusion.language_index.shape[1]
        image = None if said.image is None else said.image.clone()
        kept = LayerGates(image, said.language[:, :count].clone(), said.language_mask[:, :count].clone())
        fusion.gates.layers.setdefault(layer, kept)
