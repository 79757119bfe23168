"""Whether a processor and a model belong together."""

import torch
from transformers import GenerationConfig

from moai.models.configuration import MoAIConfig
from moai.models.processing import MoAIProcessor

_QUESTION = [{"role": "user", "content": "What is this?"}]


def check_fit(config: MoAIConfig, processor: MoAIProcessor) -> None:
    """Raises ValueError with one sentence unless the processor makes what a model of `config` reads."""
    text, tokenizer = config.text_config, processor.tokenizer
    positions = getattr(text, "max_position_embeddings", None)
    if not _is_count(positions):
        raise ValueError(f"its max_position_embeddings is {positions!r}; it must be a number of tokens")
    if tokenizer.pad_token_id is None:
        raise ValueError("its tokenizer has no padding token")
    for name, ours, theirs in (
        ("image_size", processor.image_size, config.vision_config.image_size),
        ("num_image_tokens", processor.num_image_tokens, config.num_image_tokens),
        ("image_token_id", processor.image_token_id, config.image_token_id),
    ):
        if ours != theirs:
            raise ValueError(f"its processor and its configuration differ in {name}: {ours!r} and {theirs!r}")
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    largest = max((number for number in tokenizer.get_vocab().values() if number not in special), default=0)
    if largest >= text.vocab_size:
        raise ValueError(f"its tokenizer has {largest + 1} words, its configuration {text.vocab_size} (vocab_size)")
    prompt = len(processor.conversation_ids(_QUESTION, with_image=True))
    if positions is not None and prompt >= positions:
        raise ValueError(f"a question with a picture is {prompt} tokens long, and the model has {positions} positions")
    side = processor.image_size
    pixels = processor.image_inputs([torch.zeros(side, side, 3, dtype=torch.uint8).numpy()], None)["pixel_values"]
    if pixels.shape != (1, 3, side, side) or not pixels.isfinite().all():
        raise ValueError("its processor makes no picture of three channels of numbers; see image_mean and image_std")


def check_generation(settings: GenerationConfig | None) -> None:
    """Raises ValueError with one sentence for special tokens that are no ids."""
    for name in ("eos_token_id", "pad_token_id", "bos_token_id"):
        told = getattr(settings, name, None)
        ids = told if isinstance(told, list) else [] if told is None else [told]
        if not all(isinstance(one, int) and one >= 0 for one in ids):
            raise ValueError(f"its generation_config.json says {name} {told!r}; allowed are ids of tokens")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
