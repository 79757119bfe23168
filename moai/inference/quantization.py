"""Memory tiers: the frozen decoder's linears in 8 or 4 bits, through torchao, everything else in bf16."""

import warnings
from collections.abc import Iterator

import torch
from torch import nn

from moai.models.modeling import MoAIForConditionalGeneration

TIERS = ("bf16", "int8", "int4")
"""bf16 keeps all weights; int8 has one scale a row; int4 one scale and offset for each `GROUP` weights of a row."""
GROUP = 128


def check_tier(tier: str | None, device: torch.device) -> None:
    """Raises ValueError with one sentence when `tier` is unknown or cannot be used here; None asks for nothing."""
    if tier is None:
        return
    if tier not in TIERS:
        raise ValueError(f"unknown quantisation {tier!r}; allowed are {', '.join(TIERS)}")
    if tier == "bf16":
        return
    if tier == "int4" and (device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0)):
        raise ValueError("int4 needs a CUDA device of compute capability 8.0 or newer; use int8 or bf16 here")
    try:
        import torchao  # noqa: F401
    except ImportError as error:
        raise ValueError(f"{tier} needs the package torchao; pip install 'moai-vlm[quantize]'") from error


@torch.no_grad()
def quantize(model: MoAIForConditionalGeneration, tier: str, device: torch.device) -> MoAIForConditionalGeneration:
    """The model on `device` in `tier` ("int8" or "int4"), in place: for inference, its decoder can no longer train.

    Decoder layers move one at a time, so the device never holds more than one of them in full. Partial LoRA, mixers,
    compressor, vision and word embeddings keep their precision. Raises ValueError as `check_tier`.
    """
    for _ in quantized_layers(model, tier, device):
        pass
    return model.to(device).requires_grad_(False)


def quantized_layers(model: MoAIForConditionalGeneration, tier: str, device: torch.device) -> Iterator[nn.Module]:
    """The decoder's layers one after another, each on `device` in `tier` ("int8" or "int4") when it comes."""
    check_tier(tier, device)
    from torchao.quantization import quantize_

    if any(hasattr(getattr(layer, "mlp", None), "experts") for layer in model.language_model.layers):
        warnings.warn(
            f"this model has sparse layers; {tier} leaves their routed experts as they are, and quantises the rest",
            stacklevel=3,
        )
    for layer in model.language_model.layers:
        quantize_(layer.to(device), _settings(tier), filter_fn=lambda module, name: isinstance(module, nn.Linear))
        yield layer


def _settings(tier: str):
    from torchao.quantization import Int4WeightOnlyConfig, Int8WeightOnlyConfig

    # The packing whose product is part of torch itself. Settings of the compiler are ours to choose.
    if tier == "int4":
        return Int4WeightOnlyConfig(GROUP, set_inductor_config=False, int4_packing_format="tile_packed_to_4d")
    return Int8WeightOnlyConfig(set_inductor_config=False)
