"""How likely the model finds given answers."""

from collections.abc import Sequence

import torch

from moai.assistant import EncodedImage, MoAI
from moai.inference.likelihood import target_losses


def answer_losses(
    assistant: MoAI, encoded: Sequence[EncodedImage], questions: Sequence[str], answers: Sequence[str]
) -> list[tuple[float, bool]]:
    """For each answer its negative log-likelihood (nats, summed over its tokens) given picture and question, and
    whether greedy decoding would say exactly this.

    As in decoding, mixers see the prompt and no token of the answer. Raises ValueError for an empty answer.
    """
    processor, model = assistant.processor, assistant.model
    prompts = [processor.conversation_ids([{"role": "user", "content": one}], with_image=True) for one in questions]
    targets = [processor.encode_text(processor.style.answer.format(one.strip())) for one in answers]
    if not all(one.strip() for one in answers):
        raise ValueError("the likelihood of an empty answer is not defined")
    inputs = {name: torch.cat([one.inputs[name] for one in encoded]) for name in encoded[0].inputs}
    return target_losses(model, prompts, targets, processor.tokenizer.pad_token_id, inputs)
