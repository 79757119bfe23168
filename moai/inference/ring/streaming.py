"""A model whose decoder stays in the host's memory, within a budget of its device's."""

import threading
import warnings
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from moai.inference.fused import can_be_fused, join_layer, weights_of
from moai.inference.quantization import check_tier, quantized_layers
from moai.inference.ring.layers import Ring
from moai.inference.ring.needs import decoder_needs, inner_width
from moai.inference.ring.packing import Packed, move_parameters, packed
from moai.inference.ring.plan import bytes_of, planned, told
from moai.inference.untouched import is_untouched
from moai.models.modeling import MoAIForConditionalGeneration

_USUAL_WORDS = 512
"""Of a question with its answer, which must fit beside one picture."""


@dataclass(frozen=True)
class Streaming:
    """Of a decoder whose layers stay on the host: its packed layers, the bytes of its device that the model may take,
    those that all weights but layers take of them, the `inner_width` of the widest layer, and the slots through which
    layers pass."""

    layers: list[Packed]
    budget: int
    always: int
    width: int
    slots: int = 2


def check_memory(memory: str | None, device: torch.device) -> int | None:
    """The bytes of a limit such as "8GB", None without one; ValueError with one sentence for what is none, or where the
    device is no CUDA device."""
    if memory is None:
        return None
    budget = bytes_of(str(memory))
    if device.type != "cuda":
        raise ValueError(f"a limit of memory needs a CUDA device; leave it out on {device.type}")
    return budget


@torch.no_grad()
def stream_layers(
    model: MoAIForConditionalGeneration, device: torch.device, budget: int, tier: str | None = None, slots: int = 2
) -> MoAIForConditionalGeneration:
    """The model on `device`, its decoder's layers on the host, in place and for inference; at most `budget` bytes of
    the device will be used for weights, cache and states. `tier` as of `moai.inference.quantization.quantize`.

    The fast path takes as many layers there as fit and streams the others; transformers' own path takes one at a time.
    Raises ValueError with one sentence where the decoder is none that the fast path knows, or the budget is too small.
    """
    if not is_untouched(model) or not can_be_fused(model.config.text_config):
        raise ValueError(
            f"memory can be limited for decoders like Llama's, without adapters; this one is a "
            f"{model.config.text_config.model_type} model"
        )
    check_tier(tier, device)
    decoder = model.language_model
    inside = {id(module) for module in decoder.layers.modules()}
    layers = []
    for layer in decoder.layers if tier in (None, "bf16") else quantized_layers(model, tier, device):
        with torch.inference_mode(False):
            join_layer(layer)
            weights = weights_of(layer)
            layers.append(packed(weights, _host_memory if device.type == "cuda" else _plain_memory))
            move_parameters(layer, weights, layers[-1])
        layer.register_forward_pre_hook(_lend)
        layer.register_forward_hook(_take_back, always_call=True)
    outside = [module for module in model.modules() if id(module) not in inside]
    always = sum(one.numel() * one.element_size() for one in _own_tensors(outside))
    width = max(inner_width(layer.unpacked(layer.memory)) for layer in layers)
    streaming = Streaming(layers, budget, always, width, slots)
    _check_fits(model, streaming)
    for module in outside:
        module._apply(lambda tensor: tensor.to(device), recurse=False)
    decoder.streaming = streaming
    return model.requires_grad_(False)


def _own_tensors(modules: list[nn.Module]) -> list[Tensor]:
    """Parameters and buffers of the modules themselves, tied ones once."""
    found: dict[int, Tensor] = {}
    for module in modules:
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                found[id(tensor)] = tensor
    return list(found.values())


def _check_fits(model: MoAIForConditionalGeneration, streaming: Streaming) -> None:
    sizes = [len(layer.memory) for layer in streaming.layers]
    length = model.config.num_image_tokens + _USUAL_WORDS
    needs = decoder_needs(model.config.text_config, streaming.width, model.dtype.itemsize, 1, length, 1, 1)
    stays = streaming.always + needs.kept + needs.passing
    if planned(streaming.budget - stays, sizes, streaming.slots) is None:
        lacking = told(stays + streaming.slots * max(sizes) - streaming.budget)
        raise ValueError(
            f"{told(streaming.budget)} of memory is {lacking} too little: {streaming.slots} layers must fit beside "
            f"{told(stays)} that always stay; quantise to int8 or int4, or allow more"
        )


def _plain_memory(size: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8)


def _host_memory(size: int) -> Tensor:
    """Memory of the host from which copies run beside computations, where the system gives some."""
    try:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)
    except RuntimeError:
        warnings.warn(
            "the system has no more pinned memory to give, so layers will come several times more slowly; close other "
            "programs, or allow more memory of the device",
            stacklevel=2,
        )
        return _plain_memory(size)


_RINGS: WeakKeyDictionary[nn.Module, Ring] = WeakKeyDictionary()
_RINGS_LOCK = threading.Lock()


def ring_of(decoder: nn.Module) -> Ring | None:
    """The ring of a decoder that `stream_layers` left on the host, None of others; all who decode share it."""
    streaming = getattr(decoder, "streaming", None)
    if streaming is None:
        return None
    with _RINGS_LOCK:
        if decoder not in _RINGS:
            device = decoder.embed_tokens.weight.device  # type: ignore[union-attr]
            budget = streaming.budget - streaming.always
            _RINGS[decoder] = Ring(streaming.layers, device, budget, streaming.slots)  # type: ignore[arg-type]
        return _RINGS[decoder]


def forget_rings() -> None:
    """Gives back residents and slots of all decoders; who decodes next takes them anew."""
    with _RINGS_LOCK:
        rings = list(_RINGS.values())
    for ring in rings:
        ring.give_back()


def _lend(layer: nn.Module, args: tuple) -> None:
    """Before transformers' own code runs a layer: its weights go where the states are."""
    lent = []
    for module in layer.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    lent.append((held, name, tensor))
                    there = tensor.to(args[0].device)
                    held[name] = nn.Parameter(there, requires_grad=False) if held is module._parameters else there
    vars(layer)["lent"] = lent


def _take_back(layer: nn.Module, args: tuple, output) -> None:
    for held, name, tensor in vars(layer).pop("lent", ()):
        held[name] = tensor
