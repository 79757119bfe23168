"""How likely several texts are behind one prompt, read in one row, which is one CUDA graph where it is short.

As with prompts, a graph has a fixed width, to which rows are padded on the right, where no token before sees it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moai.inference.captured import MAX_TOKENS, WIDTH_STEP, padded_width
from moai.inference.graphs import Graphs
from moai.inference.untouched import all_modules, is_hooked
from moai.models.hosts import final_logits
from moai.models.inputs.packing import turn_mask, turn_positions
from moai.models.modeling import MoAIForConditionalGeneration

MAX_GRAPHS = 32
"""Graphs that are kept, for each width one with and one without a picture; the one that was made first goes."""
ENCODED = {"image_embeds", "aux_tokens"}
"""What a graph takes of a picture."""
PADDING = -1
"""The turn of what is added on the right, which no other turn sees."""


@dataclass(frozen=True)
class Row:
    """Texts behind one prompt, on the host, so that nothing waits for the device: `ids` (1, S), `turns` (1, S), 0 =
    prompt, from 1 on the texts, each in one piece, and `kept` (K,), positions whose logits are wanted."""

    ids: Tensor
    turns: Tensor
    kept: Tensor


@dataclass
class Reading:
    """A pass over rows of a fixed width W: what it reads, and the decoder's last states (1, W, D) that come out; both
    at fixed addresses where there is a `graph`."""

    inputs: dict[str, Tensor]
    states: Tensor | None = None
    graph: torch.cuda.CUDAGraph | None = None


def compare_as_written(model: MoAIForConditionalGeneration, row: Row, encoded: Mapping[str, Tensor]) -> Tensor:
    """Logits (K, V) at the positions that the row keeps. Its texts do not see one another, mixers see the prompt alone.

    encoded: what the model's `encode` takes or gave of the prompt's picture, one row; nothing for text. Raises
    ValueError for image tokens that do not match the picture.
    """
    ids, turns, kept = (one.to(model.device) for one in (row.ids, row.turns, row.kept))
    return model(**_told(model, ids, turns), use_cache=False, logits_to_keep=kept, **encoded).logits[0]


class CapturedComparing:
    """`compare_as_written`, captured for short rows about encoded pictures; others do run as written, and so do layers
    that cannot be captured, and mixers that have hooks or are weighed at random.

    With `graphs` None passes run on the same padded tensors without a graph, which a CPU can do. `step`: of what widths
    are multiples.
    """

    def __init__(self, graphs: Graphs | None, step: int = WIDTH_STEP):
        self.graphs = graphs
        self.step = step
        self._readings: dict[tuple, Reading | None] = {}
        self._places: list[int] = []

    def __call__(self, model: MoAIForConditionalGeneration, row: Row, encoded: Mapping[str, Tensor]) -> Tensor:
        """As `compare_as_written`."""
        before, mixers = row.ids.shape[1], all_modules([model.mixers])
        width = padded_width(before, self.step)
        usual = width <= MAX_TOKENS and encoded.keys() <= ENCODED and model.routing != "random"
        if not usual or any(map(is_hooked, mixers)):
            return compare_as_written(model, row, encoded)
        model.check_pictures(row.ids, image_embeds=encoded.get("image_embeds"))
        self._forget_moved(mixers)
        more = (0, width - before)
        # With the last token, which is no image token.
        ids, turns = F.pad(row.ids, more, value=int(row.ids[0, -1])), F.pad(row.turns, more, value=PADDING)
        padded = {"ids": ids, "turns": turns, **encoded}
        key = (model.routing, *((name, one.shape, one.dtype) for name, one in padded.items()))
        if key not in self._readings:
            while len(self._readings) >= MAX_GRAPHS:
                del self._readings[next(iter(self._readings))]
            self._readings[key] = self._made(model, padded)
        reading = self._readings[key]
        if reading is None:
            return compare_as_written(model, row, encoded)
        for name, one in padded.items():
            reading.inputs[name].copy_(one)
        kept = row.kept.to(model.device)
        if reading.graph is None:
            reading.states = _read(model, **reading.inputs)
        else:
            reading.graph.replay()
        assert reading.states is not None
        # Indexing copies, so that the next graph may run in the same memory.
        logits = model.lm_head(reading.states[0, kept])
        return final_logits(logits, model.config.text_config)

    def _made(self, model: MoAIForConditionalGeneration, padded: dict[str, Tensor]) -> Reading | None:
        """A pass of these shapes, which holds copies of what it was made with; None where it cannot be captured."""
        reading = Reading({name: one.to(model.device, copy=True) for name, one in padded.items()})
        if self.graphs is None:
            return reading
        with suppress(RuntimeError):
            read = self.graphs.captured(lambda: _read(model, **reading.inputs), model.device)
            reading.graph, reading.states = read
            return reading
        # A layer asked the device something on its way, or there was too little room.
        return None

    def _forget_moved(self, mixers: list[nn.Module]) -> None:
        """Graphs know where weights lie; whether the decoder's are there still, whoever holds this has seen."""
        places = [one.data_ptr() for part in mixers for one in part._parameters.values() if one is not None]
        if places != self._places:
            self._readings.clear()
            self._places = places


def _told(model: MoAIForConditionalGeneration, ids: Tensor, turns: Tensor) -> dict[str, Tensor]:
    """What the model is told of a row beside its picture."""
    unseen = ~turn_mask(turns)
    mask = torch.zeros(unseen.shape, dtype=model.dtype, device=ids.device)
    return {
        "input_ids": ids,
        "attention_mask": mask.masked_fill_(unseen, torch.finfo(mask.dtype).min),
        # Padding could reach beyond the positions that the model has.
        "position_ids": turn_positions(turns).masked_fill(turns == PADDING, 0),
        "prompt_mask": turns == 0,
    }


def _read(model: MoAIForConditionalGeneration, ids: Tensor, turns: Tensor, **encoded: Tensor) -> Tensor:
    """The decoder's last states (1, W, D), as the model's `forward` makes them, without waiting for the device."""
    told = _told(model, ids, turns)
    decoder = {name: told.pop(name) for name in ("attention_mask", "position_ids")}
    embeds, fusion = model.fuse(**told, **encoded, check=False)  # type: ignore[arg-type]
    return model.language_model(inputs_embeds=embeds, use_cache=False, fusion=fusion, **decoder).last_hidden_state
