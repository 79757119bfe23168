"""A decoder layer as one piece of memory: one copy takes it to the device, wherever it comes to lie there.

Any tree of dataclasses, tuples and tensors can be packed, tensors of quantised kinds by what is inside them.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from moai.inference.products import Branch
from moai.models.sparse.branch import BranchWeights

PARTIAL_LORA = (Branch, BranchWeights)
"""What of a layer the prompt alone reads."""
ALIGNMENT = 256
"""Bytes at whose multiples tensors begin, as kernels expect of what the allocator gives."""


class Place(NamedTuple):
    """Where a tensor begins in the bytes of its layer, and what it is."""

    start: int
    dtype: torch.dtype
    shape: torch.Size
    stride: tuple[int, ...]

    def of(self, memory: Tensor) -> Tensor:
        """The tensor in `memory`, (N,) uint8."""
        return _within(memory, self.start // self.dtype.itemsize, self)


@dataclass(frozen=True)
class _Wrapped:
    """A tensor of another kind, such as torchao's: what is inside, and what its class needs to be made of it."""

    kind: type
    inside: dict[str, Any]
    context: Any
    shape: torch.Size
    stride: tuple[int, ...]


@dataclass(frozen=True)
class Packed:
    """The bytes of one layer, (N,) uint8, in which all that decoding reads comes first, in `body` bytes, and partial
    LoRA, which the prompt alone needs, behind; `recipe` is the layer with a `Place` for each plain tensor."""

    memory: Tensor
    body: int
    recipe: Any

    def unpacked(self, memory: Tensor) -> Any:
        """The layer in other memory (at least N,) that holds the same bytes; nothing is copied."""
        return _mapped(self.recipe, lambda place: place.of(memory))


def packed(layer: Any, empty: Callable[[int], Tensor]) -> Packed:
    """Copies a layer into memory that `empty` gives for a number of bytes."""
    body = plain_tensors(layer, PARTIAL_LORA)
    known = {id(tensor) for tensor in body}
    behind = [tensor for tensor in plain_tensors(layer) if id(tensor) not in known]
    places: dict[int, Place] = {}
    end = 0
    for tensor in (*body, *behind):
        places[id(tensor)] = Place(end, tensor.dtype, tensor.shape, tensor.stride())
        end += _aligned(tensor)
    made = Packed(empty(end), sum(map(_aligned, body)), _mapped(layer, lambda tensor: places[id(tensor)]))
    for tensor in (*body, *behind):
        places[id(tensor)].of(made.memory).copy_(tensor)
    return made


def move_parameters(module: nn.Module, layer: Any, made: Packed) -> None:
    """Lets the parameters of a module that a layer was read from lie where it was packed; their old memory is free."""
    pairs = list(zip(plain_tensors(layer), plain_tensors(made.unpacked(made.memory)), strict=True))

    def moved(tensor: Tensor) -> Tensor:
        for old, new in pairs:
            ahead = tensor.data_ptr() - old.data_ptr()
            if 0 <= ahead < old.numel() * old.element_size() and tensor.device == old.device:
                return _within(new, new.storage_offset() + ahead // new.element_size(), tensor)
        return tensor

    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                data = _mapped(_mapped(parameter.data, moved), moved)
                part._parameters[name] = nn.Parameter(data, requires_grad=False)


def plain_tensors(tree: Any, besides: type | tuple[type, ...] = ()) -> list[Tensor]:
    """Every plain tensor of a tree once, those inside of others too; parts of the type `besides` are passed over."""
    found: dict[int, Tensor] = {}

    def look(tensor: Tensor) -> Tensor:
        return found.setdefault(id(tensor), tensor)

    _mapped(tree, look, besides)
    return list(found.values())


def _mapped(node: Any, function: Callable, besides: type | tuple[type, ...] = ()) -> Any:
    """A tree with `function` of its plain tensors, and with recipes in place of the others; of a recipe, the tree."""
    if isinstance(node, Place) or (isinstance(node, Tensor) and not is_traceable_wrapper_subclass(node)):
        return function(node)
    if isinstance(node, Tensor):
        names, context = node.__tensor_flatten__()
        inside = {name: _mapped(getattr(node, name), function) for name in names}
        return _Wrapped(type(node), inside, context, node.shape, node.stride())
    if isinstance(node, _Wrapped):
        inside = {name: _mapped(one, function) for name, one in node.inside.items()}
        return node.kind.__tensor_unflatten__(inside, node.context, node.shape, node.stride)  # type: ignore[attr-defined]
    if isinstance(node, besides):
        return node
    if is_dataclass(node) and not isinstance(node, type):
        changed = {field.name: _mapped(getattr(node, field.name), function, besides) for field in fields(node)}
        return replace(node, **changed)
    if isinstance(node, tuple):
        return tuple(_mapped(one, function, besides) for one in node)
    return node


def _within(memory: Tensor, start: int, like: Place | Tensor) -> Tensor:
    """A tensor in the storage of another, from element `start` on."""
    # By its storage and not as a view: the compiler would look at what a view is of.
    stride = like.stride() if isinstance(like, Tensor) else like.stride
    made = torch.empty(0, dtype=like.dtype, device=memory.device)
    return made.set_(memory.untyped_storage(), start, like.shape, stride)


def _aligned(tensor: Tensor) -> int:
    return -(-tensor.numel() * tensor.element_size() // ALIGNMENT) * ALIGNMENT
