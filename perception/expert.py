"""What every expert is: a name, and a call that fills its own part of a Scene."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from perception.scene import Scene


class ExpertUnavailable(RuntimeError):
    """An expert's weights or packages are missing; the message is one sentence for a person."""


class Expert(Protocol):
    """One expert: what a backend of `perception.registry` builds. It may have a `prepare(pictures)` besides."""

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills this expert's part of `scene` from `picture`, (H, W, 3) uint8 RGB, read-only; may read the parts of
        those kinds that its own kind waits for. `perception.pixels.digest_of` tells pictures apart at no cost.

        Must be safe to call from several threads. May raise anything: the caller turns it into a warning.
        """


def prepare(expert: Expert, pictures: Sequence[np.ndarray]) -> None:
    """Lets an expert look at several pictures at once, where it has a `prepare` of its own; later calls are cheap."""
    own = getattr(expert, "prepare", None)
    if own is not None:
        own(pictures)


class NetworkExpert:
    """An expert that asks a network of `perception.networks`; `fill` says what of the findings stands in a scene."""

    def __init__(self, network: Any):
        self.network = network

    def prepare(self, pictures: Sequence[np.ndarray]) -> None:
        """Looks at several pictures at once."""
        self.network.batch(pictures)

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills its part of `scene` from (H, W, 3) uint8 RGB; raises ExpertUnavailable for what cannot be had."""
        self.fill(self.network(picture), scene)

    def fill(self, found: Any, scene: Scene) -> None:
        """Fills the scene from what the network found in its picture."""
        raise NotImplementedError
