"""Large pictures take turns, so that memory and processors need hold few of them at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perception.forks import ProcessBound
from perception.images.errors import MAX_PIXELS

SMALL = 4_000_000
"""Pixels up to which a picture waits for no other."""


class Room(ProcessBound):
    """Room for `pixels` of large pictures at once; those that wait come in as they came."""

    _turn: threading.Lock
    _change: threading.Condition
    _left: int

    def __init__(self, pixels: int = MAX_PIXELS):
        self.pixels = pixels
        super().__init__()

    def _fresh(self) -> dict[str, Any]:
        return {"_turn": threading.Lock(), "_change": threading.Condition(), "_left": self.pixels}

    @contextmanager
    def taken(self, width: int, height: int) -> Iterator[None]:
        """While it lasts, a picture of this size has its room; waits for it before."""
        needed = 0 if width * height <= SMALL else min(width * height, self.pixels)
        if needed:
            with self._turn, self._change:
                self._change.wait_for(lambda: self._left >= needed)
                self._left -= needed
        try:
            yield
        finally:
            if needed:
                with self._change:
                    self._left += needed
                    self._change.notify_all()
