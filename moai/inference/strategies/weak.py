"""Weaker selves of a model, to contrast it with: other routings of its mixers, or of its sparse layers."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from moai.models.fusion import Fusion

OF_MIXERS = ("no-aux", "second", "uniform", "random", "backbone")
"""No auxiliary tokens; each token's second-ranked block alone; a third each; one at random; the mixers at rest."""
AUX_INPUTS = ("aux_input_ids", "aux_attention_mask", "panoptic_pixel_values", "aux_tokens")
_RANK = re.compile(r"rank([1-9]\d*)(-raw)?")
WEAK = (*OF_MIXERS, "rank2")
"""Names of weak sides; of a sparse decoder any `rankK`: in each sparse layer the expert of rank K alone, weighing 1, or
with `-raw` behind it what the router gave it."""


def check_weak(name: str) -> None:
    """Raises ValueError with one sentence for the name of no weak side."""
    if name not in OF_MIXERS and not _RANK.fullmatch(str(name)):
        raise ValueError(f"there is no weak side {name!r}; allowed are {', '.join(WEAK)} (or another rank)")


def check_possible(name: str, model: nn.Module) -> None:
    """Raises ValueError with one sentence when `model` has nothing that could be weakened so."""
    check_weak(name)
    if name in OF_MIXERS:
        if not len(getattr(model, "mixers", ())):
            raise ValueError(f"the weak side {name} needs a model with mixers; this one has none")
        return
    routers = routers_of(model)
    if not routers:
        raise ValueError(f"the weak side {name} needs a model with sparse layers; this one is dense")
    experts = min(_experts(router) for router in routers)
    if _rank(name) > experts:
        raise ValueError(f"the weak side {name} needs {_rank(name)} experts in each sparse layer; there are {experts}")


def weak_fusion(fusion: Fusion | None, weak: str) -> Fusion | None:
    """What a pass hands to its mixers on a weak side of theirs."""
    if fusion is None or fusion.aux is None or weak not in OF_MIXERS:
        return fusion
    if weak == "backbone":
        return Fusion(fusion.image_mask) if fusion.image_mask is not None else None
    return replace(fusion, routing=weak, gates=None)


def weak_inputs(inputs: Mapping[str, Tensor], weak: str) -> dict:
    """A model's inputs on a weak side: without the experts' words where the mixers rest."""
    left_out = {"gates", *(AUX_INPUTS if weak == "backbone" else ())}
    return {name: value for name, value in inputs.items() if name not in left_out}


@contextmanager
def weakened(model: nn.Module, weak: str, rows: slice = slice(None)) -> Iterator[None]:
    """Within it, passes run on the weak side, of sparse layers only the `rows` of the batch.

    Mixers see the prompt alone, and all its rows. Everything is as before afterwards, also after an exception.
    """
    if weak in OF_MIXERS:
        before = model.routing
        if weak != "backbone":
            model.routing = weak
        try:
            yield
        finally:
            model.routing = before
        return
    batch: dict[str, int] = {}
    decoder = getattr(model, "language_model", model)
    handles = [decoder.register_forward_pre_hook(_counts(batch), with_kwargs=True)]
    handles += [router.register_forward_hook(_of_rank(weak, rows, batch)) for router in routers_of(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def routers_of(model: nn.Module) -> list[nn.Module]:
    """The routers of a model's sparse layers: what stands as `gate` or `router` beside `experts`."""
    found = []
    for parent in model.modules():
        parts = dict(parent.named_children())
        if "experts" in parts:
            found += [parts[name] for name in ("gate", "router") if hasattr(parts.get(name), "weight")]
    return found


def _experts(router: nn.Module) -> int:
    return router.weight.shape[0]  # type: ignore[union-attr,index,return-value]


def _rank(name: str) -> int:
    match = _RANK.fullmatch(name)
    assert match is not None
    return int(match[1])


def _counts(batch: dict[str, int]):
    def note(module, args, kwargs):
        given = next((one for one in (*args, *kwargs.values()) if isinstance(one, Tensor)), None)
        batch["rows"] = 1 if given is None else len(given)

    return note


def _of_rank(weak: str, rows: slice, batch: dict[str, int]):
    """A hook on a router that gives the tokens of `rows` the expert of one rank alone."""
    rank, raw = _rank(weak), weak.endswith("-raw")

    def reroute(router, args, output):
        if not (isinstance(output, tuple) and len(output) == 3 and not output[2].is_floating_point()):
            raise ValueError(f"the routers of {type(router).__name__} cannot be weakened")
        logits, weights, chosen = output
        # By logits, as some families leave the chosen ones unsorted; the first places of a strict order.
        order = logits.float().argsort(dim=-1, descending=True, stable=True)
        count = chosen.shape[-1]
        if raw and rank > count:
            raise ValueError(f"the weak side {weak} needs routers that choose {rank} experts, not {count}")
        wanted = order[:, rank - 1 : rank]
        # The others of the K places weigh nothing; they must be other experts than the wanted one.
        others = torch.cat((order[:, : rank - 1], order[:, rank:]), dim=-1)[:, : count - 1]
        places = torch.cat((wanted, others), dim=-1).to(chosen.dtype)
        own = torch.zeros_like(weights)
        own[:, 0] = weights.sort(dim=-1, descending=True)[0][:, rank - 1] if raw else 1.0
        marks = torch.zeros(batch["rows"], dtype=torch.bool, device=logits.device)
        marks[rows] = True
        tokens = marks.repeat_interleave(len(logits) // batch["rows"])[:, None]
        return logits, torch.where(tokens, own, weights), torch.where(tokens, places, chosen)

    return reroute
