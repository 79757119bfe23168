"""Settings of a configuration that no model needs, looked at before transformers reads them."""

from collections.abc import Iterator
from typing import Any

import torch

MOST_LAYERS = 100_000
"""Of whatever a configuration counts: layers, heads, experts."""
_COUNTED = ("layers", "depth", "experts", "heads", "blocks")


def check_settings(told: dict[str, Any]) -> None:
    """Raises ValueError with one sentence for settings of a configuration that lead to programs or other files, and for
    absurd numbers of parts."""
    for path, value in _leaves(told):
        name = path.rpartition(".")[2]
        if name in ("attn_implementation", "_attn_implementation") and "/" in str(value):
            raise ValueError(
                f"its configuration asks for kernels of a hub ({path}), which are programs; leave them out"
            )
        if name == "transformers_weights":
            raise ValueError(f"its configuration names files of weights ({path}); allowed is model.safetensors")
        precise = name in ("dtype", "torch_dtype") and value not in (None, "auto")
        if precise and not isinstance(getattr(torch, str(value), None), torch.dtype):
            raise ValueError(f"its configuration says {path} {value!r}, which torch does not know")
        counted = isinstance(value, int) and any(one in name for one in _COUNTED)
        if counted and value > MOST_LAYERS:
            raise ValueError(f"its configuration says {path} {value}; allowed are up to {MOST_LAYERS}")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All values of JSON that hold no others, each with the names that lead to it."""
    waiting = [(path, value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{path}.{name}".lstrip("."), one) for name, one in value.items()]
        elif isinstance(value, list):
            waiting += [(path, one) for one in value]
        else:
            yield path, value
