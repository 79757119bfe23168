"""How networks run on onnxruntime: with how many threads, and on what."""

import os

MOST_THREADS, CORES_A_THREAD = 4, 4
"""Threads of one network at most, and for how many cores it has one: several networks look at several pictures at once,
and threads that wait for one another cost more than they bring."""


def cores() -> int:
    """Cores of the processor that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """Threads for one network."""
    return max(1, min(cores() // CORES_A_THREAD, MOST_THREADS))


def on_gpu(device: str | None) -> bool:
    """Whether networks run on a GPU: onnxruntime can, and `device`, as torch names it, does not say otherwise."""
    import onnxruntime

    asked = device is None or device.startswith("cuda")
    return asked and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
