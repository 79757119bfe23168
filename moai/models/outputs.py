"""What a forward pass returns."""

from dataclasses import dataclass

from torch import Tensor
from transformers import Cache
from transformers.utils import ModelOutput


@dataclass
class MoAIOutput(ModelOutput):
    """`loss` (), `logits` (B, S, vocabulary), `past_key_values`; where asked for, `hidden_states`, the decoder's input
    and what each of its layers gives (B, S, D), the last one normed, and its `attentions` (B, heads, S, S)."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
