"""A MoAI model of a pretrained language model and a pretrained vision encoder, its own branches closed."""

import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, set_seed
from transformers.initialization import no_init_weights

from moai.models.configuration import MoAIConfig
from moai.models.fusion import GateRecord
from moai.models.hosts import check_decoder
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.pretrained.language import load_language
from moai.models.pretrained.places import absolute
from moai.models.pretrained.vision import load_vision
from moai.models.processing import MoAIProcessor
from moai.models.prompts import CHAT
from perception.presets import preset_names

IMAGE_TOKEN = "<image>"
EVERY = "every=4"
"""Mixers in every fourth layer: the released model has one in eight of its 32, as the last of each eight."""
_PROBE = 12
"""Tokens that the built model and the language model must score alike."""


def build(
    language_model: str | Path,
    vision: str | Path,
    experts_from: str = "drawn",
    mixers: str | Sequence[int] = EVERY,
    *,
    image_size: int | None = None,
    feature_level: int = -1,
    rank: int = 64,
    plora_rank: int | None = None,
    latents: int = 64,
    parts: int = 1,
    prompt_style: str = CHAT,
    dtype: torch.dtype | None = None,
    seed: int | None = 0,
) -> tuple[MoAIForConditionalGeneration, MoAIProcessor]:
    """A model that answers as `language_model` does until it is trained: mixers and partial LoRA start closed.

    language_model: hub id, folder or GGUF file; vision: hub id or folder of transformers or timm (see `load_language`
    and `load_vision` for all that they take). experts_from: name of a preset. mixers: "every=N", or the 0-based decoder
    layers that hold one, as a list or separated by commas. image_size, feature_level: of the vision encoder. rank: of
    mixers' projections, and of partial LoRA unless `plora_rank` says another (0: none); latents: auxiliary tokens that
    the compressor makes of each of as many `parts` of the experts' words. prompt_style: "chat" for the tokenizer's chat
    template. dtype: of all weights, None for the language model's. seed: of the new parts; None leaves them without
    values and checks nothing, for an adapter to fill: that is fast. Raises ValueError with one sentence for parts that
    are missing, do not fit together or cannot be carried exactly.
    """
    arguments: dict[str, Any] = dict(
        language_model=absolute(language_model),
        vision=absolute(vision),
        image_size=image_size,
        feature_level=feature_level,
    )
    if experts_from not in preset_names():
        raise ValueError(f"unknown preset of experts {experts_from!r}; allowed are {', '.join(preset_names())}")
    seen = load_vision(str(vision), image_size, feature_level)
    host, tokenizer = load_language(language_model, dtype)
    name = str(language_model)
    decoder = host.base_model
    check_decoder(decoder, name)
    text = host.config
    if text.hidden_size % 4:
        raise ValueError(f"{name} is {text.hidden_size} wide; mixers need a width that 4 divides")
    if prompt_style == CHAT and not tokenizer.chat_template:
        raise ValueError(f"the tokenizer of {name} has no chat template; choose the prompt style plain")
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE_TOKEN]}, replace_extra_special_tokens=False)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    image_id: Any = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    head = host.get_output_embeddings()
    config = MoAIConfig(
        text_config=text,
        vision_config=seen.config,
        image_token_id=image_id,
        compressor_num_latents=latents,
        compressor_neighborhood=9,
        compressor_parts=parts,
        mixer_layers=mixed_layers(mixers, text.num_hidden_layers),
        mixer_rank=rank,
        plora_rank=rank if plora_rank is None else plora_rank,
        plora_alpha=(rank if plora_rank is None else plora_rank) or 1,
        head_bias=head.bias is not None,
        experts_from=experts_from,
        built_from=arguments,
        tie_word_embeddings=bool(text.tie_word_embeddings),
    )
    if seed is not None:
        set_seed(seed)
    with no_init_weights() if seed is None else nullcontext():
        model = MoAIForConditionalGeneration._from_config(config, dtype=dtype or host.dtype)
    _take_over(model.language_model, decoder.state_dict(), name)
    if not config.tie_word_embeddings:
        _take_over(model.lm_head, head.state_dict(), name)
    model.tie_weights()
    model.vision.load_state_dict(seen.weights, strict=False)
    missing = set(model.vision.state_dict()) - set(seen.weights) - {"position_embedding"}
    if missing or set(seen.weights) - set(model.vision.state_dict()):
        raise ValueError(f"{vision} cannot be made again from its configuration; its parts differ")
    model.generation_config = host.generation_config
    options = {"enable_thinking": False} if "enable_thinking" in str(tokenizer.chat_template) else None
    processor = MoAIProcessor(
        tokenizer,
        image_size=config.vision_config.image_size,
        num_image_tokens=config.num_image_tokens,
        image_token=IMAGE_TOKEN,
        prompt_style=prompt_style,
        image_mean=seen.mean,
        image_std=seen.std,
        template_options=options,
    )
    model.eval()
    if seed is not None:
        check_carried(model, host, name)
    return model, processor


def mixed_layers(mixers: str | Sequence[int], layers: int) -> list[int]:
    """The 0-based decoder layers of `layers` that `mixers` means ("every=N", "3,7" or numbers), in their order."""
    if isinstance(mixers, str) and (every := re.fullmatch(r"\s*every=(\d+)\s*", mixers)):
        step = int(every[1])
        if not 1 <= step <= layers:
            raise ValueError(f"mixers are {mixers!r}, but the decoder has {layers} layers; N is from 1 to {layers}")
        return list(range(step - 1, layers, step))
    try:
        numbers = sorted({int(one) for one in (mixers.split(",") if isinstance(mixers, str) else mixers)})
    except (TypeError, ValueError):
        raise ValueError(f"mixers are {mixers!r}; allowed are every=N, or layers separated by commas") from None
    if not numbers or numbers[0] < 0 or numbers[-1] >= layers:
        raise ValueError(f"mixers are {mixers!r}; the decoder's layers are 0 to {layers - 1}")
    return numbers


def _take_over(part: nn.Module, weights: dict[str, torch.Tensor], name: str) -> None:
    """The weights become the part's own parameters; nothing is copied."""
    result = part.load_state_dict(weights, strict=False, assign=True)
    lost = [key for key in result.missing_keys if ".lora_" not in key] + list(result.unexpected_keys)
    if lost:
        raise ValueError(f"{name} cannot be made again from its configuration: {lost[0]} differs")


@torch.no_grad()
def check_carried(model: MoAIForConditionalGeneration, host: PreTrainedModel, name: str) -> None:
    """Raises ValueError with one sentence unless the model scores text as `host` does, and its mixers are reached."""
    text = model.config.text_config
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, min(text.vocab_size, 1000), (1, _PROBE), generator=generator).to(model.device)
    expected, found = host(input_ids=ids).logits.float(), model(input_ids=ids).logits.float()
    if found.shape != expected.shape or (found - expected).abs().max() > 1e-2 * expected.abs().max():
        raise ValueError(
            f"{name} ({text.model_type}) makes its logits in a way that is not carried over; another family is needed"
        )
    picture = torch.full((1, model.config.num_image_tokens), model.config.image_token_id, device=model.device)
    side, record = model.config.vision_config.image_size, GateRecord()
    model(
        input_ids=torch.cat((picture, ids), dim=1),
        pixel_values=torch.zeros(1, 3, side, side, dtype=model.dtype, device=model.device),
        aux_input_ids=ids,
        gates=record,
    )
    unreached = set(model.config.mixer_layers or ()) - set(record.layers)
    if unreached:
        raise ValueError(f"{name} ({text.model_type}) does not lead the mixer of its layer {min(unreached)} anything")
