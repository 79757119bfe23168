"""The next token: the best, a draw, or what a contrast with weak logits leaves."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


def sampling_order(logits: Tensor, temperature: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of the nucleus (Holtzman et al. 2020), surest first, and whose they are: each (B, V).

    logits: (B, V); temperature above 0 and top_p in 0..1 are scalars. Tokens outside the nucleus have share 0.
    """
    shares, order = (logits.float() / temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    surer = shares.cumsum(dim=-1) - shares
    return shares.masked_fill((surer >= top_p) & (surer > 0), 0.0), order


class Part(NamedTuple):
    """Rows of a batch that is answered in parts: where they stand, (R,) integers, among all `of` rows. They draw what
    they would have drawn there."""

    places: Tensor
    of: int


def choose(
    logits: Tensor,
    temperature: Tensor | None,
    top_p: Tensor | None,
    generator: torch.Generator | None = None,
    part: Part | None = None,
) -> Tensor:
    """The next token (B,) of logits (B, V): the best without a temperature, else drawn from the nucleus."""
    if temperature is None:
        return logits.float().argmax(dim=-1)
    shares, order = sampling_order(logits, temperature, top_p)
    # The largest of shares over exponential noise is a draw by share, without asking the host.
    noise = torch.empty_like(shares) if part is None else shares.new_empty(part.of, shares.shape[1])
    noise.exponential_(generator=generator)
    drawn = (shares / (noise if part is None else noise[part.places])).argmax(dim=-1, keepdim=True)
    return order.gather(1, drawn)[:, 0]


def contrasted(strong: Tensor, weak: Tensor, strength: float | Tensor, plausible: float | Tensor) -> Tensor:
    """(1 + strength) strong - strength weak, for plausible tokens; -inf for the others (SCMoE, arXiv 2405.14507,
    eq. 5 and 6).

    strong, weak: logits (B, V); strength, plausible: numbers or scalars on their device. Returns (B, V) in fp32.
    """
    strong, weak = strong.float(), weak.float()
    least = math.log(plausible) if isinstance(plausible, (int, float)) else plausible.log()
    kept = strong >= strong.amax(dim=-1, keepdim=True) + least
    return ((1 + strength) * strong - strength * weak).masked_fill(~kept, float("-inf"))


@dataclass
class Step:
    """One token (R,) of each row, its log-probability by the model as it is, and whether contrast chose it over the
    model's best."""

    tokens: Tensor
    logprobs: Tensor
    changed: Tensor


def next_step(
    strong: Tensor,
    weak: Tensor | None,
    strength: float | Tensor,
    plausible: float | Tensor,
    temperature: Tensor | None,
    top_p: Tensor | None,
    generator: torch.Generator | None,
    part: Part | None = None,
) -> Step:
    """The next token of logits (R, V), contrasted with those of the weak side, if there are any."""
    scores = strong if weak is None else contrasted(strong, weak, strength, plausible)
    tokens = choose(scores, temperature, top_p, generator, part)
    said = strong.float().log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0]
    best = tokens if weak is None else strong.float().argmax(dim=-1)
    return Step(tokens, said, tokens != best)


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Draws of the block begin at a seed, and those outside it go on as if there had been none."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
