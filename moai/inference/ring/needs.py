"""What a model needs of its device's memory beside the layers of its decoder."""

from typing import NamedTuple

from transformers import PreTrainedConfig

from moai.inference.fused import LayerWeights
from moai.inference.products import DenseWeights
from moai.models.configuration import MoAIConfig

_WORKSPACE = 96 * 2**20
"""What libraries take for themselves, and what lies between tensors."""


class Needs(NamedTuple):
    """Bytes that are `kept` from one pass to the next, and those that a pass over prompts or pictures takes (`passing`)
    and a step (`stepping`): all take turns with these."""

    kept: int
    passing: int
    stepping: int


def inner_width(layer: LayerWeights) -> int:
    """Numbers that a feed-forward makes of one token before it gates them, halved; what a token's experts take too."""
    fed = layer.feed_forward
    if isinstance(fed, DenseWeights):
        return sum(fed.gated.sizes) // 2
    routed = fed.active * (fed.gate_up.shape[1] // 2 + fed.gate_up.shape[2])
    return routed + (0 if fed.shared is None else sum(fed.shared.gated.sizes) // 2)


def decoder_needs(
    config: PreTrainedConfig, width: int, itemsize: int, rows: int, length: int, prompts: int, at_once: int
) -> Needs:
    """Of a decoder for `rows` conversations of `length` tokens; so many `prompts` come together, and a layer takes the
    states of `at_once` of them.

    width: `inner_width` of its widest layer; itemsize: bytes of one number of a state. Kept is the cache; a pass takes
    what it holds at its widest place, logits, and a weight that is spelled out of fewer bits.
    """
    dim = config.hidden_size
    head_dim = getattr(config, "head_dim", None) or dim // config.num_attention_heads
    cache = 2 * config.num_hidden_layers * config.num_key_value_heads * head_dim * itemsize
    # Of all prompts pictures, embeddings, residual, what is added; of a part norm, queries, keys, values, and then a
    # feed-forward or a mixer.
    held = 4 * dim * itemsize
    states = (3 * dim + max(4 * width, 12 * dim)) * itemsize
    any_pass = rows * config.vocab_size * (itemsize + 8) + dim * width * itemsize + _WORKSPACE
    prompt = length * (prompts * held + at_once * states)
    return Needs(rows * length * cache, prompt + any_pass, rows * (held + states) + any_pass)


def looking_needs(config: MoAIConfig, itemsize: int, pictures: int) -> Needs:
    """Of a pass of so many pictures and colour maps through the vision encoder."""
    states = 24 * config.vision_config.hidden_size + 3 * config.text_config.hidden_size
    return Needs(0, pictures * config.num_image_tokens * states * itemsize + _WORKSPACE, 0)
