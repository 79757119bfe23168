"""How likely a model finds each of several texts behind one prompt."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from moai.inference.comparing import Row
from moai.inference.fused import can_be_fused
from moai.inference.generation import compare
from moai.inference.likelihood import target_losses
from moai.models.modeling import MoAIForConditionalGeneration

_AT_ONCE = 16
"""Texts that are compared in one pass where each needs a prompt of its own."""


def continuation_losses(
    model: MoAIForConditionalGeneration,
    prompt: Sequence[int],
    targets: Sequence[Sequence[int]],
    pad_id: int,
    encoded: Mapping[str, Tensor],
) -> list[float]:
    """For each target (token ids) its negative log-likelihood behind the prompt (nats, summed over its tokens).

    encoded: what the model's `encode` takes or gave of the prompt's picture, one row; nothing for text. The prompt is
    read once for all targets, which stand behind it in one row and do not see one another; for decoders that cannot be
    told so, once for each. As in decoding, mixers see the prompt and no token of a target.
    """
    if targets and _is_told_who_sees_whom(model):
        return _in_one_row(model, prompt, targets, encoded)
    found: list[float] = []
    for start in range(0, len(targets), _AT_ONCE):
        part = targets[start : start + _AT_ONCE]
        rows = {name: one.repeat_interleave(len(part), dim=0) for name, one in encoded.items()}
        found += [loss for loss, _ in target_losses(model, [prompt] * len(part), part, pad_id, rows)]
    return found


def _is_told_who_sees_whom(model: MoAIForConditionalGeneration) -> bool:
    config = model.config.text_config
    return can_be_fused(config) and config._attn_implementation in ("sdpa", "eager")


@torch.inference_mode()
def _in_one_row(
    model: MoAIForConditionalGeneration,
    prompt: Sequence[int],
    targets: Sequence[Sequence[int]],
    encoded: Mapping[str, Tensor],
) -> list[float]:
    # On the host: each of these small tensors would be several launches on a device.
    lengths = torch.tensor([len(one) for one in targets])
    ids = torch.tensor([[*prompt, *(token for one in targets for token in one)]])
    turns = torch.zeros_like(ids)
    turns[0, len(prompt) :] = torch.repeat_interleave(torch.arange(1, len(targets) + 1), lengths)
    # Each token is foretold by the one before it: the first of a target by the prompt's last one.
    before = torch.arange(len(prompt) - 1, ids.shape[1] - 1)
    before[lengths.cumsum(0) - lengths] = len(prompt) - 1
    logits = compare(model, Row(ids, turns, kept=before), encoded)
    said = ids[0, len(prompt) :].to(logits.device)
    losses = torch.nn.functional.cross_entropy(logits.float(), said, reduction="none")
    return [float(one.sum()) for one in losses.cpu().split(lengths.tolist())]
