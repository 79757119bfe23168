"""Work that is always done by one and the same thread."""

import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class OneThread:
    """Does what it is given in a thread of its own, which starts at the first call and ends with this object.

    On a GPU torch keeps cuDNN's plans of convolutions, one for each shape, by thread
    (https://github.com/pytorch/pytorch/pull/103939), and takes seconds to make them for a network: whichever thread
    came next would wait for its own.
    """

    def __init__(self, name: str):
        self.name = name
        self._calls: queue.SimpleQueue[tuple[Future, Callable] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, call: Callable[[], Result]) -> Result:
        """The result of `call`, or what it raises; waits for it."""
        with self._lock:
            if self._thread is None:
                # It knows the queue alone, so that it does not keep this object.
                self._thread = threading.Thread(target=_serve, args=(self._calls,), name=self.name, daemon=True)
                self._thread.start()
                weakref.finalize(self, self._calls.put, None)
        if threading.current_thread() is self._thread:
            return call()
        future: Future[Result] = Future()
        self._calls.put((future, call))
        return future.result()


def _serve(calls: "queue.SimpleQueue[tuple[Future, Callable] | None]") -> None:
    while (one := calls.get()) is not None:
        future, call = one
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)
        del one, future, call  # or their tensors would live until the next call
