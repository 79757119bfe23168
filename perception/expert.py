"""What every expert is: a name, and a call that fills its own part of a Scene."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from perception.scene import Scene


class ExpertUnavailable(RuntimeError):
    """An expert's weights or packages are missing; the message is one sentence for a person."""


class Expert(Protocol):
    """One expert: what a backend of `perception.registry` builds. It may have a `prepare(pictures)` besides, and a
    `load()`, whose time does not count as that of a picture."""

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills this expert's part of `scene` from `picture`, (H, W, 3) uint8 RGB, read-only; may read the parts of
        those kinds that its own kind waits for. `perception.pixels.digest_of` tells pictures apart at no cost.

        Must be safe to call from several threads. May raise anything: the caller turns it into a warning, as it does
        with what no scene can hold (see `perception.guard.door.admit`) and with a call that takes too long.
        """


def prepare(expert: Expert, pictures: Sequence[np.ndarray]) -> None:
    """Lets an expert look at several pictures at once, where it has a `prepare` of its own; later calls are cheap."""
    own = getattr(expert, "prepare", None)
    if own is not None:
        own(pictures)


def load(expert: Expert) -> None:
    """Loads an expert, where it has a `load` of its own; later calls are cheap."""
    own = getattr(expert, "load", None)
    if own is not None:
        own()


class NetworkExpert:
    """An expert that asks a network of `perception.networks`; `fill` says what of the findings stands in a scene."""

    def __init__(self, network: Any):
        self.network = network

    def load(self) -> None:
        """Loads the network."""
        self.network.load()

    def prepare(self, pictures: Sequence[np.ndarray]) -> None:
        """Looks at several pictures at once."""
        self.network.batch(pictures)

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills its part of `scene` from (H, W, 3) uint8 RGB; raises ExpertUnavailable for what cannot be had."""
        self.fill(self.network(picture), scene)

    def fill(self, found: Any, scene: Scene) -> None:
        """Fills the scene from what the network found in its picture."""
        raise NotImplementedError
