"""How much is taken at once: requests, and bytes of bodies and pictures."""

import math
import threading
import time
from contextlib import contextmanager

from moai.serving.errors import ApiError
from moai.serving.metrics import Metrics
from moai.serving.settings import Settings


class Admission:
    """Counts the requests that are present; refuses those over the limit, and all once the server is ending."""

    def __init__(self, settings: Settings, metrics: Metrics):
        self.settings, self.metrics = settings, metrics
        self.present = 0
        self.ending = False
        self._seconds = 1.0  # of a request, lately

    @contextmanager
    def place(self):
        """A place for one request. Raises ApiError when there is none."""
        if self.ending:
            raise ApiError(503, "this server is ending; ask another one", "ending", 5)
        if self.present >= self.settings.max_requests:
            wait = math.ceil(min(60.0, max(1.0, self._seconds * self.settings.max_waiting / self.settings.rows)))
            raise ApiError(429, f"{self.present} requests are waiting; try again in {wait} s", "overloaded", wait)
        self.present += 1
        self.metrics.present.set(self.present)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.present -= 1
            self.metrics.present.set(self.present)
            self._seconds += 0.1 * (time.perf_counter() - started - self._seconds)


class Budget:
    """Bytes that may be held at once, by threads that wait for their share."""

    def __init__(self, size: int):
        self.size = size
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def share(self, size: int):
        """Holds `size` bytes for the block, once there is room; what is larger than all is held alone."""
        size = min(size, self.size)
        with self._changed:
            self._changed.wait_for(lambda: self._used + size <= self.size)
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()
