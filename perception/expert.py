"""What every expert is: a name, and a call that fills its own part of a Scene."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from perception.scene import Scene


class ExpertUnavailable(RuntimeError):
    """An expert's weights or packages are missing; the message is one sentence for a person."""


class Expert(Protocol):
    """One expert. A new backend is a new class of this shape and a line in the table of its kind's module."""

    name: str
    """`segmentation`, `detection`, `scene_graph` or `ocr`: the part of the Scene that it fills."""

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills this expert's part of `scene` from `picture`, (H, W, 3) uint8 RGB; may read the parts of others.

        Must be safe to call from several threads. May raise anything: the caller turns it into a warning.
        """


def prepare(expert: Expert, pictures: Sequence[np.ndarray]) -> None:
    """Lets an expert look at several pictures at once, where it has a `prepare` of its own; later calls are cheap."""
    own = getattr(expert, "prepare", None)
    if own is not None:
        own(pictures)
