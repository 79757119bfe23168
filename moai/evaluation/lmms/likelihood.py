"""How likely the model finds given answers."""

from collections.abc import Sequence

import torch

from moai.assistant import EncodedImage, MoAI
from moai.models.processing import pad


@torch.inference_mode()
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
    rows = [prompt + target for prompt, target in zip(prompts, targets, strict=True)]
    input_ids, attention_mask = pad(rows, processor.tokenizer.pad_token_id, left=True)
    prompt_mask = attention_mask.clone()
    for row, target in enumerate(targets):
        prompt_mask[row, -len(target) :] = 0
    longest = max(map(len, targets))
    inputs = {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "prompt_mask": prompt_mask,
        "position_ids": (attention_mask.cumsum(dim=1) - 1).clamp(min=0),
    }
    inputs = {name: tensor.to(assistant.device) for name, tensor in inputs.items()}
    inputs |= {name: torch.cat([one.inputs[name] for one in encoded]) for name in encoded[0].inputs}
    logits = model(**inputs, use_cache=False, logits_to_keep=longest + 1).logits.float().cpu()
    scores = torch.log_softmax(logits[:, :-1], dim=-1)
    results = []
    for row, target in enumerate(targets):
        given = torch.tensor(target)
        said = scores[row, -len(target) :]
        loss = -said.gather(1, given[:, None]).sum().item()
        results.append((loss, bool((said.argmax(dim=-1) == given).all())))
    return results
