"""Several pictures and questions, as people give them."""

from collections.abc import Hashable, Mapping, Sequence
from os import PathLike, fsdecode

import numpy as np


def listed(values: Sequence, what: str) -> list:
    """`values`, called `what`, as a list; raises ValueError with one sentence where they are none."""
    if isinstance(values, np.ndarray) and values.ndim not in (1, 4):
        shape = " x ".join(map(str, values.shape)) or "no dimension"
        raise ValueError(f"an array of shape {shape} holds no {what}; give a list, or for pictures (B, H, W, 3)")
    if isinstance(values, (str, bytes, bytearray, PathLike, Mapping)) or not hasattr(values, "__len__"):
        raise ValueError(f"{what} must be a list with one for each answer, not {type(values).__name__}")
    return list(values)


def given_as(picture) -> Hashable:
    """A key that is the same for what is one picture at sight: equal paths, equal bytes, the same object."""
    if isinstance(picture, PathLike):
        return fsdecode(picture)
    return picture if isinstance(picture, (str, bytes)) else id(picture)
