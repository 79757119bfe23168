"""Threads, locks and running engines belong to one process; a forked child and a copy must make their own.

A forked child ends by `os._exit`, as those of `multiprocessing` do: onnxruntime waits for its threads at a plain exit.
"""

import ctypes
import os
import sys
import weakref
from typing import Any, Self

_ALIVE: "weakref.WeakSet[ProcessBound]" = weakref.WeakSet()


class ProcessBound:
    """An object that can be pickled and copied, and that works on in a forked child.

    `_fresh` returns the attributes that belong to one process. They are set at construction, left out of pickles and
    copies, and made anew there and in a forked child, where a lock may be held, and a pool waited for, by threads that
    do not exist.
    """

    def __init__(self) -> None:
        self._renew()

    def _fresh(self) -> dict[str, Any]:
        raise NotImplementedError

    def _renew(self) -> None:
        fresh = self._fresh()
        self.__dict__.update(fresh)
        self._of_process = frozenset(fresh)
        _ALIVE.add(self)

    def _twin(self) -> Self:
        """Another object that shares every attribute."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        _ALIVE.add(twin)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in self._of_process}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._renew()


def _after_fork_in_child() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        # The threads of its pool were not forked, and work that is given to them would never be done.
        torch.set_num_threads(1)
    for one in list(_ALIVE):
        # Kept for ever: the end of an engine would wait for threads of its own that were not forked either.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(one.__dict__.copy()))
        one._renew()


os.register_at_fork(after_in_child=_after_fork_in_child)
