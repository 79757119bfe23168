"""Which kinds and which backends of experts there are. Adding one: its module, and its line here."""

import reprlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perception.backends.backend import Backend
    from perception.kinds.kind import Kind

# By name, since a kind's module knows Scene, and Scene asks here which parts there are. In the order of their words.
_KINDS: list[str] = [
    "perception.kinds.segmentation",
    "perception.kinds.detection",
    "perception.kinds.scene_graph",
    "perception.kinds.ocr",
    "perception.kinds.tags",
    "perception.kinds.possible",
]
# By name too, since backends bring networks along.
_BACKENDS: list[str] = [
    "perception.backends.yolo",
    "perception.backends.nanodet",
    "perception.backends.hf_detection",
    "perception.backends.hf_open_vocabulary",
    "perception.backends.hf_segmentation",
    "perception.backends.relation_head",
    "perception.backends.geometry",
    "perception.backends.hf_classification",
    "perception.backends.timm_classification",
    "perception.backends.rapidocr",
    "perception.backends.paddleocr",
]


@lru_cache(maxsize=1)
def kinds() -> "tuple[Kind, ...]":
    """Every kind, in the fixed order of their words."""
    return tuple(import_module(module).KIND for module in _KINDS)


def usual_kinds() -> "tuple[Kind, ...]":
    """Every kind that is not optional."""
    return tuple(one for one in kinds() if not one.optional)


def kind(name: str) -> "Kind":
    """The kind of this full name; raises ValueError for an unknown one."""
    for one in kinds():
        if one.name == name:
            return one
    raise ValueError(_unknown(name))


def expert_names(names: Sequence[str] | str | None = None) -> tuple[str, ...]:
    """Full names of experts in their fixed order, from a list or a text separated by commas; None means all but those
    of optional kinds.

    Short names are understood. Raises ValueError with one sentence for an unknown name, or what is no list of names.
    """
    if names is not None and not isinstance(names, Iterable):
        told = "experts must be a list of names, or a text with commas between them"
        raise ValueError(f"{told}, not {type(names).__name__}")
    if names is None:
        return tuple(one.name for one in usual_kinds())
    full_names = {known: one.name for one in kinds() for known in (one.name, one.short_name)}
    asked = set()
    for name in names.split(",") if isinstance(names, str) else names:
        plain = str(name).strip().lower()
        if plain and plain not in full_names:
            raise ValueError(_unknown(str(name).strip()))
        if plain:
            asked.add(full_names[plain])
    return tuple(one.name for one in kinds() if one.name in asked)


def _unknown(name: str) -> str:
    allowed = (one.name if one.short_name == one.name else f"{one.name} ({one.short_name})" for one in kinds())
    return f"unknown expert {reprlib.repr(name)}; allowed are {', '.join(allowed)}"


def layers() -> dict[str, str]:
    """Names of the layers that `perception.draw.draw` paints, each with its label for pages."""
    return {one.layer: one.layer_label or one.label for one in kinds() if one.layer is not None}


@lru_cache(maxsize=1)
def backends() -> "tuple[Backend, ...]":
    """Every backend."""
    return tuple(import_module(module).BACKEND for module in _BACKENDS)


def backend(name: str) -> "Backend":
    """The backend of this name; raises ValueError for an unknown one."""
    for one in backends():
        if one.name == name:
            return one
    raise ValueError(f"unknown backend {name!r}; allowed are {', '.join(one.name for one in backends())}")


def backends_of(kind: str) -> "tuple[Backend, ...]":
    """The backends that run experts of a kind, the usual one first."""
    return tuple(one for one in backends() if kind in one.kinds)


def register(module: str) -> None:
    """Adds what `module` declares, as its `KIND` or its `BACKEND`, after what is there.

    Raises ValueError with one sentence for a name that is taken and for a kind that needs one which is not there.
    """
    declared = import_module(module)
    if hasattr(declared, "KIND"):
        _check_kind(declared.KIND)
        _KINDS.append(module)
        kinds.cache_clear()
    if hasattr(declared, "BACKEND"):
        if any(one.name == declared.BACKEND.name for one in backends()):
            raise ValueError(f"there is a backend {declared.BACKEND.name!r} already; choose another name")
        _BACKENDS.append(module)
        backends.cache_clear()


def unregister(module: str) -> None:
    """Takes away what `register` added."""
    for modules, listed in ((_KINDS, kinds), (_BACKENDS, backends)):
        if module in modules:
            modules.remove(module)
            listed.cache_clear()


def _check_kind(new: "Kind") -> None:
    names = {name for one in kinds() for name in (one.name, one.short_name)}
    taken = names & {new.name, new.short_name}
    taken |= {one.layer for one in kinds() if one.layer is not None and one.layer == new.layer}
    taken |= {part.name for one in kinds() for part in one.parts} & {part.name for part in new.parts}
    if taken:
        raise ValueError(f"there is {min(taken)!r} already; choose another name for the kind {new.name!r}")
    for other in (*new.needs, *new.after):
        kind(other)
