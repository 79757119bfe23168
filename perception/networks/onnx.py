"""How networks run on onnxruntime: with how many threads, and on what."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np

from perception.networks.one_thread import OneThread

Session = TypeVar("Session")
Result = TypeVar("Result")

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
MOST_THREADS, CORES_A_THREAD, MOST_WORKERS = 4, 8, 8
"""Threads of one network at most, and for how many cores it has one: several networks look at several pictures at once,
and threads that wait for one another cost more than they bring."""
MOST_SIZES = 24
"""Of a network's input, that a GPU is prepared for at once."""
LEAST_FREE = 2 * 2**30
"""Bytes of a GPU that are left free, or an eighth of them where that is less."""


def cores() -> int:
    """Cores of the processor that this process may use: OMP_NUM_THREADS, as for other libraries, or those there are."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(there, int(asked)) if asked.isdecimal() and int(asked) else there


def threads() -> int:
    """Threads for one network."""
    return max(1, min(cores() // CORES_A_THREAD, MOST_THREADS))


def on_gpu(device: str | None) -> bool:
    """Whether networks run on a GPU: onnxruntime can, there is one, and `device`, as torch names it, does not say
    otherwise."""
    import onnxruntime

    if not (device is None or device.startswith("cuda")) or CUDA not in onnxruntime.get_available_providers():
        return False
    # It also brings CUDA's libraries, which onnxruntime would not find by itself.
    import torch

    if not torch.cuda.device_count():
        return False
    # It would tell at each network that CUDA is no plug-in.
    onnxruntime.set_default_logger_severity(3)
    return True


def is_scarce(device: str | None) -> bool:
    """Whether little of a GPU's memory is free."""
    import torch

    free, there = torch.cuda.mem_get_info(_number(device))
    return free < min(LEAST_FREE, there // 8)


def cuda_options(device: str | None) -> dict[str, Any]:
    """onnxruntime's settings of a GPU: exact as a processor, ways to compute a convolution looked up and not tried,
    since each size of a picture has its own, and no more memory than is needed."""
    number = _number(device)
    choice = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested", "use_tf32": 0}
    return {"device_id": number, "user_compute_stream": str(_stream(number).cuda_stream)} | choice


def _number(device: str | None) -> int:
    return int((device or "").partition(":")[2] or 0)


@cache
def _stream(number: int) -> Any:
    """One for all networks on a GPU: each session that had its own would hold libraries' handles twice."""
    import torch

    return torch.cuda.Stream(number)


def session(model: bytes, device: str | None, count: int | None = None) -> Any:
    """A network that runs with `count` threads; None: as many as `threads` says."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count or threads()
    options.log_severity_level = 3
    # Threads that wait in a loop would take the cores from the other networks.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list = [CPU]
    if on_gpu(device):
        providers.insert(0, (CUDA, cuda_options(device)))
        # Laid out beforehand, a pass holds twice the memory, in the session of each size.
        options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(model, options, providers=providers)


class EachSize(Generic[Session]):
    """Sessions of one network on a GPU, one for each shape of its input. Safe to call from several threads.

    From its version 1.20 on onnxruntime prepares each convolution anew when a shape is not that of the call before,
    which takes many times as long as the pass itself where shapes alternate
    (https://github.com/microsoft/onnxruntime/issues/23006). `make` makes another session like `first`; those of
    MOST_SIZES shapes are kept, the last used ones, and fewer while `scarce` says that memory is. One thread runs them
    all, as a session holds a stream, with libraries' handles and memory of their own, for each pass that goes on in it
    at once.
    """

    def __init__(self, first: Session, make: Callable[[], Session], scarce: Callable[[], bool]):
        self._scarce = scarce
        self._spare: list[Session] = [first]
        self._make = make
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, ...], Future[Session]] = OrderedDict()
        self._thread = OneThread("onnxruntime")

    def run(self, given: np.ndarray, call: Callable[[Session], Result]) -> Result:
        """`call` with the session for an input of this shape; raises what `make` and `call` do."""
        one = self._of(given)
        return self._thread(lambda: call(one))

    def _of(self, given: np.ndarray) -> Session:
        shape = given.shape
        with self._lock:
            there = shape in self._kept
            if there:
                self._kept.move_to_end(shape)
            else:
                while self._kept and (len(self._kept) >= MOST_SIZES or self._scarce()):
                    self._kept.popitem(last=False)
                self._kept[shape] = Future()
                if self._spare:
                    self._kept[shape].set_result(self._spare.pop())
            one = self._kept[shape]
        if not there and not one.done():  # made here, so that those who want other shapes need not wait
            try:
                one.set_result(self._make())
            except BaseException as error:
                with self._lock:
                    if self._kept.get(shape) is one:
                        del self._kept[shape]
                one.set_exception(error)
        return one.result()


def workers(count: int | None = None) -> int:
    """How many passes of networks of `count` threads there is room for at once."""
    return max(1, min(cores() // (count or threads()), MOST_WORKERS))
