"""CUDA graphs of passes that take turns."""

import threading
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakSet

import torch

Result = TypeVar("Result")

CAPTURING = threading.Lock()
"""Held by who captures: torch captures on one stream for the whole process, and engines of several threads use it."""


class Graphs:
    """Captures passes, whose graphs share one pool of memory: what one leaves there is copied before the next runs. The
    pool ends with its last graph."""

    def __init__(self) -> None:
        self._living = WeakSet[torch.cuda.CUDAGraph]()

    def captured(self, run: Callable[[], Result], device: torch.device) -> tuple[torch.cuda.CUDAGraph, Result]:
        """A graph of `run`, and what it leaves in the pool at every replay. Runs it once beforehand, so that compilers
        and libraries have chosen their kernels. Raises RuntimeError where `run` asks the device something."""
        stream, graph = torch.cuda.Stream(device), torch.cuda.CUDAGraph()
        other = next(iter(self._living), None)
        pool = None if other is None else other.pool()
        # Where a capture fails, torch leaves its stream the current one.
        stay = torch.cuda.stream(torch.cuda.current_stream(device))
        with CAPTURING:
            try:
                stream.wait_stream(torch.cuda.current_stream(device))
                with torch.cuda.stream(stream):
                    run()
                torch.cuda.current_stream(device).wait_stream(stream)
                # Other threads may use the device meanwhile, as experts do.
                with stay, torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                    left = run()
            except RuntimeError:
                torch.cuda.synchronize(device)
                # Until another capture ends, torch's generator takes this one for going on, and refuses to draw.
                with torch.cuda.graph(torch.cuda.CUDAGraph(), capture_error_mode="thread_local"):
                    torch.zeros(1, device=device)
                raise
        self._living.add(graph)
        return graph, left
