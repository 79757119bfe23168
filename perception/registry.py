"""Which kinds of experts there are. Adding one: its module in `perception/kinds/`, and its line here."""

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perception.kinds.kind import Kind

# By name, since a kind's module knows Scene, and Scene asks here which parts there are. In the order of their words.
_KINDS: list[str] = [
    "perception.kinds.segmentation",
    "perception.kinds.detection",
    "perception.kinds.scene_graph",
    "perception.kinds.ocr",
]


@lru_cache(maxsize=1)
def kinds() -> "tuple[Kind, ...]":
    """Every kind, in the fixed order of their words."""
    return tuple(import_module(module).KIND for module in _KINDS)


def kind(name: str) -> "Kind":
    """The kind of this full name; raises ValueError for an unknown one."""
    for one in kinds():
        if one.name == name:
            return one
    raise ValueError(_unknown(name))


def expert_names(names: Sequence[str] | str | None = None) -> tuple[str, ...]:
    """Full names of experts in their fixed order, from a list or a text separated by commas; None means all.

    Short names are understood. Raises ValueError with one sentence for an unknown name.
    """
    if names is None:
        return tuple(one.name for one in kinds())
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
    return f"unknown expert {name!r}; allowed are {', '.join(allowed)}"


def layers() -> dict[str, str]:
    """Names of the layers that `perception.draw.draw` paints, each with its label for pages."""
    return {one.layer: one.layer_label or one.label for one in kinds() if one.layer is not None}


def register(module: str) -> None:
    """Adds the kind that `module` declares as its `KIND`, after those that are there."""
    if module not in _KINDS:
        _KINDS.append(module)
        kinds.cache_clear()


def unregister(module: str) -> None:
    """Takes a registered kind away again."""
    _KINDS.remove(module)
    kinds.cache_clear()
