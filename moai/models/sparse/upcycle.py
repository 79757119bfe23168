"""A dense model as a sparse one that starts as the same function ("virtual groups").

A SwiGLU is a sum over its hidden units, so each dense feed-forward is cut into parts of equal width. Some become shared
experts; the others are copied. All parts of one copy have the same row in the router, so a token takes one whole copy,
whose weights, renormalised and scaled, are 1.
"""

import copy

import torch
from torch import Tensor, nn
from transformers.initialization import no_init_weights

from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.plora import PartialLoRALinear
from moai.models.sparse.layer import SWIGLU, check_swiglu


@torch.no_grad()
def upcycle(
    model: MoAIForConditionalGeneration,
    parts: int,
    shared: int,
    copies: int,
    fresh: float = 0.0,
    seed: int = 0,
    first: int = 1,
) -> MoAIForConditionalGeneration:
    """A sparse model made of a dense one, in the same precision; `model` stays as it is.

    Each feed-forward from layer `first` (0-based) on is cut into `parts`, of which `shared` are for every token and the
    others are there `copies` times. `fresh` is the share of each routed expert's hidden units, in 0..1, that are drawn
    anew with `seed`, as wide as the weights around them (Drop-Upcycling, arXiv 2502.19261), which ends that all copies
    are alike; with 0 the model computes what the dense one does. Raises ValueError with one sentence for what cannot
    be.
    """
    config, decoder = model.config, model.language_model
    if config.sparse_experts:
        raise ValueError(f"the model is sparse already: it has {config.sparse_experts} experts in each sparse layer")
    if config.lora:
        raise ValueError("the model has LoRA beside its weights; merge it first")
    for index in range(first, len(decoder.layers)):
        check_swiglu(decoder.layers[index], config.text_config.model_type, index)
    widths = {layer.mlp.gate_proj.out_features for layer in decoder.layers[first:]}
    _check(parts, shared, copies, fresh, widths)
    routed = parts - shared
    told: MoAIConfig = copy.deepcopy(config)
    for name, value in dict(
        sparse_experts=routed * copies,
        sparse_shared=shared,
        sparse_active=routed,
        sparse_width=max(widths, default=0) // parts,
        sparse_first=first,
        sparse_scaling=float(routed),
        sparse_renormalise=True,
        built_from=None,
    ).items():
        setattr(told, name, value)
    told.__post_init__()
    with no_init_weights():
        made = MoAIForConditionalGeneration._from_config(told, dtype=model.dtype)
    generator = torch.Generator().manual_seed(seed)
    state = dict(model.state_dict())
    for index in range(first, len(decoder.layers)):
        prefix = f"language_model.layers.{index}.mlp."
        state = {name: one for name, one in state.items() if not name.startswith(prefix)}
        cut = _cut(decoder.layers[index].mlp, told, copies, generator)
        if fresh:
            _draw(cut, fresh, generator)
        state |= {prefix + name: one for name, one in cut.items()}
    made.load_state_dict(state)
    made.tie_weights()
    made.generation_config = copy.deepcopy(model.generation_config)
    return made.to(model.device).train(model.training)


def _check(parts: int, shared: int, copies: int, fresh: float, widths: set[int]) -> None:
    if parts < 1 or copies < 1:
        raise ValueError(f"parts and copies must be at least 1, got {parts} and {copies}")
    if not 0 <= shared < parts:
        raise ValueError(f"{shared} of {parts} parts cannot be shared: one at least is routed; use 0 to {parts - 1}")
    if not 0 <= fresh <= 1:
        raise ValueError(f"the fresh share is {fresh:g}, but must be in 0..1")
    if len(widths) > 1:
        raise ValueError(f"the feed-forwards are {', '.join(map(str, sorted(widths)))} wide; all must be alike")
    for width in widths:
        if width % parts:
            raise ValueError(f"feed-forwards of width {width} cannot be cut into {parts} parts of equal width")


def _cut(mlp: nn.Module, config: MoAIConfig, copies: int, generator: torch.Generator) -> dict[str, Tensor]:
    """The state of a sparse layer, by the names in it, whose parts are those of a dense feed-forward, copy by copy."""
    linears = {name: mlp.get_submodule(name) for name in SWIGLU}
    width, shared, routed = config.sparse_width, config.sparse_shared, config.sparse_active
    behind = shared * width

    def experts(rows: Tensor) -> Tensor:
        """Rows (I, ...) of the dense weight as those of the routed experts (E, F, ...)."""
        return rows[behind:].unflatten(0, (routed, width)).repeat(copies, *[1] * rows.ndim)

    weights = {name: linear.get_parameter("weight") for name, linear in linears.items()}
    gate, up, down = weights.values()
    std = getattr(config.text_config, "initializer_range", 0.02)
    rows = torch.randn(copies, gate.shape[1], generator=generator) * std
    state = {
        "gate.weight": rows.repeat_interleave(routed, dim=0).to(gate),
        "experts.gate_up_proj": torch.cat((experts(gate), experts(up)), dim=1),
        "experts.down_proj": experts(down.mT).mT.contiguous(),
    }
    if shared:
        state |= {f"shared_experts.{name}.weight": one[:behind] for name, one in weights.items() if name != "down_proj"}
        state["shared_experts.down_proj.weight"] = down[:, :behind]
    if not all(isinstance(linear, PartialLoRALinear) for linear in linears.values()):
        return state
    a = {name: linear.get_parameter("lora_A.weight") for name, linear in linears.items()}
    b = {name: linear.get_parameter("lora_B.weight") for name, linear in linears.items()}
    nothing = torch.zeros_like(experts(b["gate_proj"]))
    state |= {
        "experts.branches.gate_up.lora_A.weight": torch.cat((a["gate_proj"], a["up_proj"])),
        "experts.branches.gate_up.lora_B.weight": torch.cat(
            (
                torch.cat((experts(b["gate_proj"]), nothing), dim=2),
                torch.cat((nothing, experts(b["up_proj"])), dim=2),
            ),
            dim=1,
        ),
        "experts.branches.down.lora_A.weight": experts(a["down_proj"].mT).mT.contiguous(),
        "experts.branches.down.lora_B.weight": b["down_proj"],
    }
    if shared:
        for name in SWIGLU:
            inner = name != "down_proj"
            state[f"shared_experts.{name}.lora_A.weight"] = a[name] if inner else a[name][:, :behind]
            state[f"shared_experts.{name}.lora_B.weight"] = b[name][:behind] if inner else b[name]
    return state


def _draw(state: dict[str, Tensor], share: float, generator: torch.Generator) -> None:
    """Draws a share of each routed expert's hidden units anew, in place, as wide as its own weights."""
    gate_up, down = state["experts.gate_up_proj"], state["experts.down_proj"]
    count, _, width = down.shape
    units = torch.stack([torch.randperm(width, generator=generator) < round(share * width) for _ in range(count)])

    def drawn(weight: Tensor) -> Tensor:
        deviation = weight.float().std(dim=(1, 2), keepdim=True).cpu()
        return (torch.randn(weight.shape, generator=generator) * deviation).to(weight)

    anew = units.to(down.device)
    state["experts.gate_up_proj"] = torch.where(torch.cat((anew, anew), dim=1)[:, :, None], drawn(gate_up), gate_up)
    state["experts.down_proj"] = torch.where(anew[:, None], drawn(down), down)
