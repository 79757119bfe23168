"""What a language model brings along beside its decoder: how its head makes logits, and where mixers find their place.

Families of transformers differ here; what is neither carried nor refused would be other numbers, silently.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig


def final_logits(logits: Tensor, config: PreTrainedConfig) -> Tensor:
    """The head's product as the family of `config` scales it: Cohere multiplies, Granite divides, Gemma bends."""
    if (scale := getattr(config, "logit_scale", None)) is not None:
        logits = logits * scale
    if (divisor := getattr(config, "logits_scaling", None)) is not None:
        logits = logits / divisor
    if (cap := getattr(config, "final_logit_softcapping", None)) is not None:
        logits = torch.tanh(logits / cap) * cap
    return logits


def check_decoder(decoder: nn.Module, name: str) -> None:
    """Raises ValueError with one sentence for a decoder without what MoAI works on: word embeddings, and layers that
    read through a norm or an attention of their own."""
    for part in ("embed_tokens", "layers"):
        if not hasattr(decoder, part):
            raise ValueError(f"{name} cannot hold MoAI-Mixers: its decoder ({type(decoder).__name__}) has no {part}")


def check_mixed(layer: nn.Module, index: int) -> None:
    """Raises ValueError with one sentence for a decoder layer that has no place for a mixer."""
    if not (hasattr(layer, "input_layernorm") or hasattr(layer, "self_attn")):
        raise ValueError(
            f"decoder layer {index} ({type(layer).__name__}) has neither input_layernorm nor self_attn, where a mixer "
            "could stand; leave it out of mixers"
        )
