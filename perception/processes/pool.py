"""Processes that have something of this one each, and a share of the cores."""

import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from typing import Any

from perception.networks.onnx import cores

_own: Any = None


def pool(what: Any, count: int, first: Callable[[], Any] | None = None) -> ProcessPoolExecutor:
    """`count` processes with a copy of `what`, which `own` returns there; each calls `first` before it takes work.

    They end with this one, however it ends. Raises what pickle does for what cannot be copied.
    """
    threads = max(cores() // count, 1)
    # Not forked: what runs on an accelerator does not work in a forked process.
    return ProcessPoolExecutor(count, get_context("spawn"), _start, (pickle.dumps(what), threads, first))


def own() -> Any:
    """What this process of a pool was given."""
    return _own


def _start(pickled: bytes, threads: int, first: Callable[[], Any] | None) -> None:
    """Makes a process one of many: it has so many cores."""
    global _own
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process ends it
    import cv2
    import torch

    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    cv2.setNumThreads(threads)
    # Now, as experts ask at their making how many cores there are.
    _own = pickle.loads(pickled)
    if first is not None:
        first()


def _end_with_parent() -> None:
    """One that is killed cannot say so, and its processes would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
