"""Several drafts of a prompt, and the contrast with a weak side, for any causal model of transformers: the plain path.

The prompt is read once however many drafts there are, and weak rows decode in one batch with strong ones.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from moai.inference.choosing import Part, Step, next_step, seeded
from moai.inference.strategies.contrast import Contrast
from moai.inference.strategies.weak import OF_MIXERS, weak_inputs, weakened


@dataclass(frozen=True)
class Wording:
    """How tokens are chosen: at most `max_new_tokens`, up to one of `ends`; a `temperature` of None is greedy; the
    `top_p` share of the probability; draws follow `seed`, None leaves them to chance. `part` says which rows of a
    larger batch these are."""

    max_new_tokens: int
    ends: tuple[int, ...] = ()
    pad: int = 0
    temperature: float | None = None
    top_p: float = 1.0
    seed: int | None = None
    contrast: Contrast | None = None
    part: Part | None = None


@dataclass
class Drafts:
    """What was said, (R, N) ids padded behind each row's end; `logprobs` (R,), the mean log-probability of a row's
    tokens by the model as it is; `changed` (R, N), where contrast chose another token than the model's best."""

    ids: Tensor
    logprobs: Tensor
    changed: Tensor

    @classmethod
    def of(cls, steps: Sequence[Step], wording: Wording) -> "Drafts":
        """Of the steps (at least one) of all rows, on the host."""
        tokens = torch.stack([step.tokens for step in steps], dim=1)
        logprobs = torch.stack([step.logprobs for step in steps], dim=1)
        changed = torch.stack([step.changed for step in steps], dim=1)
        over = torch.isin(tokens, torch.tensor(wording.ends, dtype=tokens.dtype)).long()
        behind = over.cumsum(dim=1) - over > 0
        counted = (~behind).sum(dim=1)
        means = logprobs.masked_fill(behind, 0.0).sum(dim=1) / counted
        return cls(tokens.masked_fill(behind, wording.pad), means, changed & ~behind)


@torch.no_grad()
def draft(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    wording: Wording,
    copies: int = 1,
    stopped: Callable[[Tensor], Tensor] | None = None,
) -> Drafts:
    """`copies` answers to each of B prompts, those of a prompt in rows beside each other.

    model: with a head and a growing cache; inputs: its `input_ids` (B, S) and `attention_mask`, padded on the left,
    with whatever else its pass over the prompt takes. `stopped` is asked after each step which rows of ids (R, N) are
    over, as (R,) bool. Raises ValueError with one sentence for a weak side that the model does not have.
    """
    ids = inputs["input_ids"]
    mask = inputs.get("attention_mask")
    mask = torch.ones_like(ids) if mask is None else mask
    loop = _Loop(model, mask, wording)
    steps: list[Step] = []
    over = torch.zeros(len(ids) * copies, dtype=torch.bool)
    logits = loop.read(inputs, copies)
    while True:
        step = loop.choose(logits)
        steps.append(Step(step.tokens.cpu(), step.logprobs.cpu(), step.changed.cpu()))
        over |= torch.isin(steps[-1].tokens, torch.tensor(wording.ends, dtype=torch.long))
        if stopped is not None:
            over |= stopped(torch.stack([one.tokens for one in steps], dim=1)).cpu()
        if over.all() or len(steps) == wording.max_new_tokens:
            return Drafts.of(steps, wording)
        logits = loop.go_on(step.tokens)


class _Loop:
    """Passes of one model on one cache; with contrast its second half of rows is the weak side's."""

    def __init__(self, model: nn.Module, mask: Tensor, wording: Wording):
        self.model, self.mask, self.wording = model, mask, wording
        self.positioned = "position_ids" in inspect.signature(model.forward).parameters
        device = mask.device
        self.generator = None if wording.seed is None else torch.Generator(device).manual_seed(wording.seed)
        sampled = wording.temperature is not None
        self.temperature = torch.tensor(wording.temperature, device=device) if sampled else None
        self.top_p = torch.tensor(wording.top_p, device=device) if sampled else None
        self.cache: DynamicCache

    def read(self, inputs: Mapping[str, Tensor], copies: int) -> Tensor:
        """Logits (R or 2 R, V) of the prompts' last tokens."""
        contrast = self.wording.contrast
        logits, self.cache = self._prompt(inputs)
        if contrast is not None:
            with weakened(self.model, contrast.weak), seeded(self.wording.seed, self.mask.device):
                weak, cache = self._prompt(weak_inputs(inputs, contrast.weak))
            logits = torch.cat((logits, weak))
            for layer, other in zip(self.cache.layers, cache.layers, strict=True):
                layer.keys, layer.values = torch.cat((layer.keys, other.keys)), torch.cat((layer.values, other.values))
            self.mask = torch.cat((self.mask, self.mask))
        if copies > 1:
            self.cache.batch_repeat_interleave(copies)
            logits, self.mask = (one.repeat_interleave(copies, dim=0) for one in (logits, self.mask))
        return logits

    def _prompt(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, DynamicCache]:
        cache = DynamicCache(config=getattr(self.model.config, "text_config", None) or self.model.config)
        given = dict(inputs) | {"attention_mask": self.mask} | self._places(self.mask.cumsum(dim=-1) - 1)
        if "prompt_mask" in inspect.signature(self.model.forward).parameters:
            given.setdefault("prompt_mask", self.mask)
        return self.model(**given, past_key_values=cache, use_cache=True).logits[:, -1], cache

    def choose(self, logits: Tensor) -> Step:
        """The next tokens (R,) of `read` or `go_on`."""
        contrast = self.wording.contrast
        strong, weak = (logits, None) if contrast is None else logits.chunk(2)
        numbers = (0.0, 1.0) if contrast is None else (contrast.strength, contrast.plausible)
        return next_step(strong, weak, *numbers, self.temperature, self.top_p, self.generator, self.wording.part)

    def go_on(self, tokens: Tensor) -> Tensor:
        """Logits after these tokens (R,)."""
        contrast = self.wording.contrast
        if contrast is not None:
            tokens = torch.cat((tokens, tokens))
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
        half = len(tokens) // 2
        sparse = contrast is not None and contrast.weak not in OF_MIXERS
        with weakened(self.model, contrast.weak, slice(half, None)) if sparse else nullcontext():  # type: ignore[union-attr]
            return self.model(
                input_ids=tokens[:, None],
                attention_mask=self.mask,
                past_key_values=self.cache,
                use_cache=True,
                **self._places(self.mask.sum(dim=-1, keepdim=True) - 1),
            ).logits[:, -1]

    def _places(self, positions: Tensor) -> dict[str, Tensor]:
        return {"position_ids": positions.clamp(min=0)} if self.positioned else {}
