"""A batch of drafts that does not fit into memory, in halves that say what the whole would have."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from moai.inference.choosing import Part
from moai.inference.generation import forget, out_of_memory
from moai.inference.strategies.plain import Drafts, Wording

Draft = Callable[[Mapping[str, Tensor], Wording, int], Drafts]
"""Drafts of a model's inputs: so many copies of each prompt, as `moai.inference.strategies.draft` has them."""


def in_halves(draft: Draft, inputs: Mapping[str, Tensor], wording: Wording, copies: int) -> Drafts:
    """What `draft` says, in as few parts as memory needs; raises what it raises where a single row does not fit."""
    try:
        return draft(inputs, wording, copies)
    except RuntimeError as error:
        # A record of gates is of one batch, so that its prompts stay together.
        whole = copies == 1 and not (len(inputs["input_ids"]) > 1 and all(map(torch.is_tensor, inputs.values())))
        if whole or not out_of_memory(error):
            raise
    forget()  # also what the failed pass held, now that its frames are gone
    prompts = len(inputs["input_ids"])
    if wording.part is None:
        seed = int(torch.randint(2**62, ())) if wording.seed is None else wording.seed
        rows = prompts * copies
        wording = replace(wording, seed=seed, part=Part(torch.arange(rows, device=inputs["input_ids"].device), rows))
    assert wording.part is not None
    places = wording.part.places.view(prompts, copies)
    dim = 1 if copies > 1 else 0
    told = []
    for some in places.chunk(2, dim=dim):
        start = len(told) * (prompts - len(some))
        given = {name: value[start : start + len(some)] for name, value in inputs.items()} if dim == 0 else inputs
        part = replace(wording, part=Part(some.flatten(), wording.part.of))
        told.append(in_halves(draft, given, part, some.shape[1]))
    return _joined(told, prompts if dim else 1, wording.pad)


def _joined(told: list[Drafts], prompts: int, filling: int) -> Drafts:
    """The drafts of each prompt beside each other, padded to the longest."""
    longest = max(one.ids.shape[1] for one in told)

    def joined(parts: list[Tensor]) -> Tensor:
        return torch.cat([part.unflatten(0, (prompts, -1)) for part in parts], dim=1).flatten(0, 1)

    return Drafts(
        joined([pad(one.ids, (0, longest - one.ids.shape[1]), value=filling) for one in told]),
        joined([one.logprobs for one in told]),
        joined([pad(one.changed, (0, longest - one.changed.shape[1])) for one in told]),
    )
