"""Seeing a picture and condensing its words as one CUDA graph, for few pictures: their kernels are many and short."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import QuickGELUActivation

from moai.inference.graphs import Graphs
from moai.inference.untouched import all_modules, is_hooked
from moai.models.modeling import MoAIForConditionalGeneration

MAX_PICTURES = 4
"""Pictures of a batch above which kernels outlast their launches, and nothing is captured."""
WORDS_STEP = 128
"""The words of experts are padded to a multiple of so many tokens, which share a graph."""
MAX_GRAPHS = 64
"""Graphs that are kept, for as many numbers of pictures and lengths of words as are usual; the one that was made first
goes."""
INPUTS = ("pixel_values", "panoptic_pixel_values", "aux_input_ids", "aux_attention_mask")


@dataclass
class Seen:
    """A pass over pictures of a fixed shape: what it reads and gives, at fixed addresses; without a `graph` it is run
    as written."""

    inputs: dict[str, Tensor]
    encoded: dict[str, Tensor]
    graph: torch.cuda.CUDAGraph | None


class CapturedEncoding:
    """`MoAIForConditionalGeneration.encode`, captured for few pictures; others run as written, and so does an encoder
    that cannot be captured or has hooks. With `graphs` None the same padded inputs are run without a graph; `compiled`:
    whether to take the time to compile what is slow as written."""

    def __init__(self, graphs: Graphs | None, compiled: bool = True):
        self.graphs = graphs
        self.compiled = compiled
        self._seen: dict[tuple, Seen] = {}
        self._places: list[int] = []

    def __call__(self, model: MoAIForConditionalGeneration, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """As `encode`, of the `inputs` that are there."""
        parts = all_modules((model.vision, model.projector, model.compressor))
        if not inputs or max(map(len, inputs.values())) > MAX_PICTURES or any(map(is_hooked, parts)):
            return model.encode(**inputs)
        self._forget_moved(parts)
        padded = _padded(inputs)
        key = tuple((name, one.shape, one.dtype) for name, one in padded.items())
        if key not in self._seen:
            while len(self._seen) >= MAX_GRAPHS:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = self._made(model, padded)
        seen = self._seen[key]
        if seen.graph is None:
            return model.encode(**padded)
        for name, one in padded.items():
            seen.inputs[name].copy_(one)
        seen.graph.replay()
        return {name: one.clone() for name, one in seen.encoded.items()}

    def _made(self, model: MoAIForConditionalGeneration, padded: dict[str, Tensor]) -> Seen:
        own = {name: one.clone() for name, one in padded.items()}
        if self.graphs is not None:
            with suppress(RuntimeError), _activated_at_once(model.vision) if self.compiled else nullcontext():
                graph, encoded = self.graphs.captured(lambda: model.encode(**own), model.device)
                return Seen(own, encoded, graph)
            # An encoder asked the device something on its way, or there was too little room.
        return Seen({}, {}, None)

    def _forget_moved(self, parts: list[nn.Module]) -> None:
        """Graphs know where weights lie; when these were moved or replaced, they are made anew."""
        places = [one.data_ptr() for part in parts for one in part._parameters.values() if one is not None]
        if places != self._places:
            self._seen.clear()
            self._places = places


@contextmanager
def _activated_at_once(vision: nn.Module) -> Iterator[None]:
    """Within it CLIP's activation is one kernel in place of three."""
    slow = [module for module in vision.modules() if type(module) is QuickGELUActivation]
    for module in slow:
        module.forward = _compiled()  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module in slow:
            vars(module).pop("forward", None)


@cache
def _compiled() -> Callable[[Tensor], Tensor]:
    # Not before it is wanted: the compiler takes seconds to be imported.
    return torch.compile(_quick_gelu, dynamic=True)


def _quick_gelu(states: Tensor) -> Tensor:
    return states * torch.sigmoid(1.702 * states)


def _padded(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inputs with the experts' words padded on the right, which their mask leaves out."""
    words = inputs.get("aux_input_ids")
    if words is None or not words.shape[1]:
        return inputs
    mask = inputs.get("aux_attention_mask")
    mask = torch.ones_like(words) if mask is None else mask
    more = (0, -words.shape[1] % WORDS_STEP)
    return inputs | {"aux_input_ids": F.pad(words, more), "aux_attention_mask": F.pad(mask, more)}
