"""Looks at pictures in processes of their own, where the experts of one process would hold up one another."""

import pickle
import threading
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from perception.images import Pixels
from perception.processes.pool import own, pool
from perception.scene import Scene

MOST_DEATHS = 3
"""Times that processes are started anew after one of them died, which may be for want of memory."""
_FIRST = (480, 640, 3)
"""Height, width and colours of the empty picture that a process looks at before all others, to load its experts."""


class Aside:
    """`count` processes that start at once, each with experts of its own like those of `perception`; while they load,
    `look` leaves the looking to its caller. Safe to call from several threads.

    Raises ValueError for experts that cannot be had in another process.
    """

    def __init__(self, perception: Any, count: int):
        self.perception, self.count = perception, count
        self.ready = threading.Event()
        self._lock = threading.Lock()
        self._deaths = 0
        try:
            self._pool = self._started()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError("experts that were given as objects cannot look in processes of their own") from error

    def look(self, picture: Pixels, names: tuple[str, ...]) -> tuple[Scene, bool] | None:
        """What `Perception.look` says of a picture; None where no process is ready, or the one that looked died."""
        if not self.ready.is_set():
            return None
        asked = self._pool
        try:
            looking = asked.submit(_look, picture, names)
        except RuntimeError:  # it is broken, or closed
            self._replace(asked)
            return None
        try:
            return looking.result()
        except (BrokenProcessPool, CancelledError):
            self._replace(asked)
            return None

    def close(self) -> None:
        """Ends the processes, whatever they are at."""
        with self._lock:
            self.ready.clear()
            self._deaths = MOST_DEATHS
            self._pool.shutdown(wait=False, cancel_futures=True)
            for one in list((self._pool._processes or {}).values()):
                one.terminate()

    def _started(self) -> ProcessPoolExecutor:
        started = pool(self.perception, self.count, _look_first)

        def say(one: Future) -> None:
            if not one.cancelled() and one.exception() is None:
                self.ready.set()

        for _ in range(self.count):  # a process for each
            started.submit(_is_there).add_done_callback(say)
        return started

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is not broken:
                return
            self.ready.clear()
            if self._deaths < MOST_DEATHS:
                self._deaths += 1
                self._pool = self._started()


def _is_there() -> bool:
    return True


def _look_first() -> None:
    empty = np.zeros(_FIRST, np.uint8).view(Pixels)
    empty.flags.writeable = False
    own().look(empty, own().experts)


def _look(picture: Pixels, names: tuple[str, ...]) -> tuple[Scene, bool]:
    picture.flags.writeable = False  # as it was where it came from
    return own().look(picture, names)
