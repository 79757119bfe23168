"""Whether weights are those that a configuration asks for: before the model is built by their size, then by what was
loaded."""

import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers.initialization import no_init_weights

_SPARE_PARTS = 5_000
"""Parameters beyond those of the weights that may be made on the way: of layers that a vision encoder leaves out."""
_SPARE_NUMBERS = 1_000_000
_TABLES = 1_000_000_000
"""Values of what is computed and not stored, such as masks and positions."""


class TooLarge(ValueError):
    """A configuration that asks for more than its weights hold; the message is one sentence."""


@contextmanager
def at_most(parts: int):
    """Raises TooLarge as soon as this thread has made more parameters than `parts`, however large each is."""
    thread, made = threading.get_ident(), 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal made
        made += threading.get_ident() == thread
        if made > parts:
            raise TooLarge(f"its configuration asks for over {parts} tensors, far more than its weights are")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def laid_out(make: Callable[[], nn.Module], parts: int) -> nn.Module:
    """What `make` makes, without values; TooLarge as soon as it has far more than `parts` tensors."""
    with torch.device("meta"), no_init_weights(), at_most(4 * parts + _SPARE_PARTS):
        return make()


def check_size(make: Callable[[], nn.Module], stored: Mapping[str, tuple[int, ...]]) -> None:
    """Raises TooLarge unless what `make` makes is about as large as the tensors of shapes `stored`, which may lack its
    head where that is tied to the embeddings."""
    model = laid_out(make, len(stored))
    held = sum(math.prod(shape) for shape in stored.values())
    asked = sum(parameter.numel() for parameter in model.parameters())
    if asked > 3 * held + _SPARE_NUMBERS:
        raise TooLarge(f"its configuration asks for {asked:,} parameters, its weights hold {held:,}")
    tables = sum(buffer.numel() for buffer in model.buffers())
    if tables > 3 * held + _TABLES:
        raise TooLarge(f"its configuration asks for tables of {tables:,} values")


def check_report(report: Mapping[str, Any], model: nn.Module | None = None) -> None:
    """Raises ValueError with one sentence for what transformers reports of a loading that was not complete; with
    `model`, the one that was loaded, also for more layers among the weights than it has."""
    if report["missing_keys"]:
        raise ValueError(f"its weights are incomplete, {min(report['missing_keys'])} is missing")
    if report["mismatched_keys"]:
        name, held, asked = min(report["mismatched_keys"], key=lambda one: one[0])
        raise ValueError(f"its {name} is {tuple(held)}, and its configuration asks for {tuple(asked)}")
    kinds = {_kind(name) for name in (model.state_dict() if model is not None else ())}
    if more := sorted(name for name in report["unexpected_keys"] if _kind(name) in kinds):
        raise ValueError(f"its weights hold {more[0]}, which its configuration does not have")


def check_finite(weights: Iterable[tuple[str, Tensor]]) -> None:
    """Raises ValueError with one sentence for weights that are infinite or no numbers, with which nothing that is said
    means anything."""
    for name, weight in weights:
        if weight.is_floating_point() and weight.numel() and weight.device.type != "meta":
            # One pass, 50 times as fast as asking each value whether it is finite; it keeps what is no number.
            low, high = weight.detach().aminmax()
            if not (low.isfinite() and high.isfinite()):
                raise ValueError(f"its {name} holds values that are infinite or no numbers")


def _kind(name: str) -> str:
    """A weight's name whichever layer it is of."""
    return re.sub(r"\.\d+(?=\.|$)", ".#", name)
