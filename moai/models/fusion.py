"""What one forward pass hands to the mixers and to partial LoRA, and how it reaches them inside the decoder.

The pass travels as an argument of the decoder's layers, so it is still there when activation checkpointing runs a layer
again in the backward pass, on whichever thread, and passes do not know of each other. Inside a layer, whose code is
transformers', norm and linears find it in a slot of the thread that runs the layer.
"""

import threading
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from moai.models.hosts import check_mixed
from moai.models.mixer import MoAIMixer
from moai.models.sparse.record import ExpertRecord


class LayerGates(NamedTuple):
    """Whom one mixer listened to: gate weights of image tokens (B, I, 3), None without a picture, and of language
    tokens (B, T, 3), each row summing to 1, and which of the T are tokens of the prompt, (B, T) bool."""

    image: Tensor | None
    language: Tensor
    language_mask: Tensor


class GateRecord:
    """Given to `forward` or `generate` as `gates`, holds afterwards what the mixers' gates said: `layers` maps the
    0-based decoder layer to its `LayerGates`. Empty when the mixers rested; of several passes the first is kept."""

    def __init__(self) -> None:
        self.layers: dict[int, LayerGates] = {}


@dataclass
class Fusion:
    """One forward pass as mixers, partial LoRA and sparse layers see it; a decoding step has none.

    `image_mask` (B, S) bool marks image tokens, None without a picture. `experts`, where the routers' choices are
    wanted, with `token_mask` (B, S) bool, which leaves out padding. The rest is for the mixers, which rest without
    `aux` (B, L, D), the auxiliary tokens: `rows` (P,) where only some rows have a picture, and then all that follows
    has P rows in place of B; `mixers` by the name of their decoder layer; `image_index` (B, I) and
    `language_index` (B, T), positions in the sequence; `language_mask` (B, T) bool, which leaves out padding and
    answers; `language_turns` (B, T), turns that share a row, if some do; `routing`, one of `ROUTINGS`; `gates`, where
    gate weights are wanted.
    """

    image_mask: Tensor | None = None
    aux: Tensor | None = None
    rows: Tensor | None = None
    image_index: Tensor | None = None
    language_index: Tensor | None = None
    language_mask: Tensor | None = None
    language_turns: Tensor | None = None
    mixers: nn.ModuleDict | None = None
    routing: str = "gates"
    gates: GateRecord | None = None
    experts: ExpertRecord | None = None
    token_mask: Tensor | None = None

    @property
    def device(self) -> torch.device | None:
        """Where the tensors are."""
        some = self.aux if self.image_mask is None else self.image_mask
        return None if some is None else some.device

    def to(self, device: torch.device | str | int, non_blocking: bool = False) -> "Fusion":
        """The same pass with its tensors on `device`; mixers stay where they are."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            held = getattr(self, field.name)
            if isinstance(held, Tensor):
                moved[field.name] = held.to(device, non_blocking=non_blocking)
        return replace(self, **moved)


class _Running(threading.local):
    fusion: Fusion | None = None


_running = _Running()


def running_fusion() -> Fusion | None:
    """The pass of the decoder layer that this thread is in."""
    return _running.fusion


class _InPlaceOf(nn.Module):
    """Takes the place of a module with its parts under the same names; a subclass of the module's own class."""

    kind: type["_InPlaceOf"]
    family: type[nn.Module]

    def __reduce_ex__(self, protocol):
        # The class was made here, where pickle could not find it by name.
        return _blank, (self.kind, self.family), self.__dict__


@cache
def _class_of(kind: type[_InPlaceOf], family: type[nn.Module]) -> type[_InPlaceOf]:
    return type(f"Fusion{family.__name__}", (kind, family), {"kind": kind, "family": family})


def _blank(kind: type[_InPlaceOf], family: type[nn.Module]) -> _InPlaceOf:
    made = _class_of(kind, family)  # type: ignore[arg-type]  # mypy takes classes of modules for unhashable
    return made.__new__(made)


def in_place_of(module: nn.Module, kind: type[_InPlaceOf], **attributes) -> _InPlaceOf:
    """A `kind` (`FusionLayer`, `FusionNorm`, `FusionAttention`) made of `module`, which should no longer be used."""
    made = _blank(kind, type(module))
    vars(made).update(vars(module), **attributes)
    return made


class FusionLayer(_InPlaceOf):
    """A decoder layer of any family that takes `fusion` and shows it to its own norm and linears."""

    def forward(self, hidden_states: Tensor, *args, fusion: Fusion | None = None, **kwargs):
        """hidden_states: (B, S, D) -> what the layer gives; all but `fusion` as the layer takes it."""
        if fusion is not None and fusion.device != hidden_states.device:
            fusion = fusion.to(hidden_states.device)
        _running.fusion = fusion
        try:
            return super().forward(hidden_states, *args, **kwargs)
        finally:
            _running.fusion = None


class FusionNorm(_InPlaceOf):
    """A decoder layer's input norm, followed by the mixer that the pass has for the layer of this `name`."""

    name: str

    def forward(self, hidden_states: Tensor) -> Tensor:
        """hidden_states: (B, S, D) -> (B, S, D), normed; the prompt's are what the mixer makes of them."""
        normed = super().forward(hidden_states)
        fusion = running_fusion()
        return normed if fusion is None or fusion.aux is None else mix(normed, self.name, fusion)


class FusionAttention(_InPlaceOf):
    """The attention of a decoder layer without an input norm, after the mixer that the pass has for this `name`."""

    name: str

    def forward(self, *args, **kwargs):
        """As the attention takes it: `hidden_states` (B, S, D) first or by name."""
        fusion = running_fusion()
        if fusion is not None and fusion.aux is not None:
            if args:
                args = (mix(args[0], self.name, fusion), *args[1:])
            else:
                kwargs["hidden_states"] = mix(kwargs["hidden_states"], self.name, fusion)
        return super().forward(*args, **kwargs)


def add_fusion(decoder_layers: nn.ModuleList, mixed: list[str]) -> None:
    """Let every decoder layer take a `Fusion`, and those whose index `mixed` names work with its mixer; in place.

    State-dict keys stay. Raises ValueError for a layer that has no place for a mixer.
    """
    for index, layer in enumerate(decoder_layers):
        if str(index) in mixed:
            check_mixed(layer, index)
            # Families that norm what a block gives, and not what it reads, have no input norm.
            place, kind = (
                ("input_layernorm", FusionNorm) if hasattr(layer, "input_layernorm") else ("self_attn", FusionAttention)
            )
            setattr(layer, place, in_place_of(layer.get_submodule(place), kind, name=str(index)))
        decoder_layers[index] = in_place_of(layer, FusionLayer)


def mix(normed: Tensor, name: str, fusion: Fusion) -> Tensor:
    """The prompt's states (B, S, D), after the input norm of layer `name`, replaced by what its mixer makes of them.

    The residual stream is untouched.
    """
    # What a pass with auxiliary tokens has.
    assert fusion.mixers is not None and fusion.language_index is not None and fusion.language_mask is not None
    mixer: MoAIMixer = fusion.mixers[name]  # type: ignore[assignment]
    if fusion.rows is not None:
        # Rows without a picture keep their plain states.
        return normed.index_copy(0, fusion.rows, mix(normed[fusion.rows], name, replace(fusion, rows=None)))
    image = None if fusion.image_index is None else _gather(normed, fusion.image_index)
    language = _gather(normed, fusion.language_index)
    image_out, language_out, image_gate, language_gate = mixer(
        image, language, fusion.aux, fusion.language_mask, fusion.routing, fusion.language_turns
    )
    if fusion.gates is not None:
        fusion.gates.layers.setdefault(int(name), LayerGates(image_gate, language_gate, fusion.language_mask))
    # Answers and padding keep their plain states. A dispatched mixer may work on another device than its layer.
    language_out = torch.where(fusion.language_mask[..., None], language_out.to(normed), language)
    mixed = normed.scatter(1, _spread(fusion.language_index, normed), language_out)
    if fusion.image_index is None:
        return mixed
    return mixed.scatter(1, _spread(fusion.image_index, normed), image_out.to(normed))


def _spread(index: Tensor, states: Tensor) -> Tensor:
    return index[..., None].expand(-1, -1, states.shape[-1])


def _gather(states: Tensor, index: Tensor) -> Tensor:
    return states.gather(1, _spread(index, states))
