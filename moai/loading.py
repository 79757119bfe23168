"""What an assistant is made of: a model with its processor, the experts that it names, and a device with memory."""

from contextlib import contextmanager

import torch

from moai.inference.fused import fuse_weights
from moai.inference.generation import forget, out_of_memory
from moai.inference.quantization import check_tier
from moai.inference.quantization import quantize as quantized
from moai.inference.ring.streaming import check_memory, stream_layers
from moai.models.adapters.base import Pair
from moai.models.adapters.folder import is_adapter, load_adapter
from moai.models.adapters.lora import merge_lora
from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.models.released import folder_of
from moai.models.stored.reading import read_model
from perception.presets import preset_names


def load_model(name: str, dtype: torch.dtype) -> tuple[MoAIForConditionalGeneration, MoAIProcessor]:
    """Model and processor of a folder or hub id, adapters merged; ValueError with one sentence if there is none."""
    try:
        folder = folder_of(name)
        return _merged(load_adapter(folder, dtype) if is_adapter(folder) else read_model(folder, dtype))
    except ValueError as error:
        raise ValueError(f"no MoAI model could be loaded from {name!r}: {error}") from error


def _merged(pair: Pair) -> Pair:
    """The model as the fast path reads it: without LoRA beside its weights."""
    if pair[0].config.lora:
        merge_lora(pair[0])
    return pair


def preset_of(config: MoAIConfig) -> str:
    """The preset of experts that a model names; ValueError with one sentence when it is not here."""
    if config.experts_from not in preset_names():
        # A file would let a downloaded model choose what is loaded here.
        raise ValueError(
            f"the model names the preset of experts {config.experts_from!r}, which is not here; choose one of "
            f"{', '.join(preset_names())} with experts_from"
        )
    return config.experts_from


@contextmanager
def in_memory(place: torch.device, what: str, advice: str):
    """Turns running out of memory into ValueError with one sentence, once the memory has been given back."""
    full = False
    try:
        yield
    except RuntimeError as error:
        full = out_of_memory(error)
        if not full:
            raise
    if full:
        forget()
        raise ValueError(f"{what} did not fit into the memory of {place}; {advice}")


def device_named(name: str | None) -> torch.device:
    """The device of this name, by default CUDA when there is one; ValueError with one sentence when it is not here."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(name)
        torch.empty(1, device=place).cpu()  # not all that torch knows can hold values
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device {name!r} cannot be used here; try cpu, or cuda on a machine with a GPU") from error
    return place


def chosen_places(
    device: str | None, tier: str | None, memory: str | None
) -> tuple[torch.device, int | None, str | None]:
    """The model's device, the bytes of it that the model may take, if limited, and the experts' device; ValueError with
    one sentence for a device, tier or limit that cannot be used here."""
    place = device_named(device)
    check_tier(tier, place)
    budget = check_memory(memory, place)
    return place, budget, device if budget is None else "cpu"


def placed(
    model: MoAIForConditionalGeneration, place: torch.device, tier: str | None, budget: int | None = None
) -> MoAIForConditionalGeneration:
    """The model on its device in a tier of memory, within a budget of bytes if there is one, ready to answer."""
    with in_memory(place, "this model", "choose a smaller quantisation"):
        if budget is not None:
            return stream_layers(model, place, budget, tier)
        if tier in (None, "bf16"):
            model.to(place)  # type: ignore[arg-type]  # a wrapper in transformers hides that it is a method
        else:
            model = quantized(model, tier, place)
        if place.type == "cuda":
            fuse_weights(model)
    return model
