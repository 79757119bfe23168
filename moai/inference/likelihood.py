"""How likely a model finds given continuations."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import pad


@torch.inference_mode()
def target_losses(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    pad_id: int,
    encoded: Mapping[str, Tensor],
) -> list[tuple[float, bool]]:
    """For each target (token ids) its negative log-likelihood behind its prompt (nats, summed over its tokens), and
    whether greedy decoding would say exactly this.

    encoded: what the model's `encode` gave of the prompts' pictures; nothing for text. As in decoding, mixers see the
    prompt and no token of the target.
    """
    rows = [[*prompt, *target] for prompt, target in zip(prompts, targets, strict=True)]
    input_ids, attention_mask = pad(rows, pad_id, left=True)
    longest = max(map(len, targets))
    inputs = {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "position_ids": (attention_mask.cumsum(dim=1) - 1).clamp(min=0),
    }
    if isinstance(model, MoAIForConditionalGeneration):
        inputs["prompt_mask"] = attention_mask.clone()
        for row, target in enumerate(targets):
            inputs["prompt_mask"][row, -len(target) :] = 0
    device = next(model.parameters()).device
    inputs = {name: tensor.to(device) for name, tensor in inputs.items()} | dict(encoded)
    logits = model(**inputs, use_cache=False, logits_to_keep=longest + 1).logits
    scores = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    results = []
    for row, target in enumerate(targets):
        given = torch.tensor(target, device=device)
        said = scores[row, -len(target) :]
        loss = -said.gather(1, given[:, None]).sum().item()
        results.append((loss, bool((said.argmax(dim=-1) == given).all())))
    return results
