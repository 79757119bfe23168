"""Prompts that a chat model makes itself: it goes on behind the opening of a user's turn (Magpie, arXiv 2406.08464)."""

import re
from collections.abc import Iterator
from itertools import takewhile

import torch
from transformers import PreTrainedModel

from moai.models.processing import MoAIProcessor

SHORTEST, LONGEST = 8, 240
"""Letters of a prompt that is kept."""


@torch.inference_mode()
def own_prompts(
    model: PreTrainedModel,
    processor: MoAIProcessor,
    count: int,
    batch: int,
    tokens: int = 64,
    seed: int = 0,
    told: str = "",
) -> Iterator[str]:
    """`count` different prompts at most, drawn as the model is likely to say them; from twice as many tries.

    Those that do not end within `tokens`, of several lines, and that stand in the text `told` (whatever their case and
    marks) are left out.
    """
    device = next(model.parameters()).device
    tokenizer = processor.tokenizer
    opening = torch.tensor([_opening(processor)], device=device)
    ends = {tokenizer.eos_token_id, *tokenizer.all_special_ids}
    unwanted, found = letters(told), set[str]()
    torch.manual_seed(seed)
    for _ in range(-(-2 * count // batch)):
        drawn = model.generate(
            input_ids=opening.expand(batch, -1), attention_mask=torch.ones_like(opening).expand(batch, -1),
            max_new_tokens=tokens, do_sample=True, temperature=1.0, top_k=0, pad_token_id=tokenizer.pad_token_id,
        )[:, opening.shape[1] :]  # fmt: skip
        for ids in drawn.tolist():
            said = list(takewhile(lambda token: token not in ends, ids))
            text = tokenizer.decode(said).strip()
            kept = len(said) < len(ids) and "\n" not in text and SHORTEST <= len(text) <= LONGEST
            if kept and text not in found and f" {letters(text)} " not in f" {unwanted} ":
                found.add(text)
                yield text
                if len(found) == count:
                    return


def letters(text: str) -> str:
    """Small letters, digits and single spaces alone."""
    return " ".join(re.sub(r"[^a-z0-9 ]", " ", text.lower()).split())


def _opening(processor: MoAIProcessor) -> list[int]:
    """What stands before the user's first word."""
    one, other = (
        processor.conversation_ids([{"role": "user", "content": text}], with_image=False) for text in ("1", "?")
    )
    return [token for token, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]
