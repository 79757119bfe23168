"""What was seen last, as long as there is room for it."""

import ctypes
import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

import numpy as np

Seen = TypeVar("Seen")


class Memory(Generic[Seen]):
    """At most `most` things, together of at most `room` bytes; the last one stays however large, if `keeps_last`.

    Safe to use from several threads.
    """

    def __init__(self, most: int, room: int, keeps_last: bool = False):
        self.most, self.room, self.keeps_last = most, room, keeps_last
        self.bytes = 0
        self._kept: OrderedDict[Hashable, tuple[Seen, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> Seen | None:
        """What was put there last, or None where it is forgotten."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Hashable, seen: Seen) -> None:
        """Remembers; what was asked for the longest ago makes room."""
        size = bytes_of(seen)
        with self._lock:
            self.bytes += size - self._kept.pop(key, (None, 0))[1]
            self._kept[key] = (seen, size)
            least = 1 if self.keeps_last else 0
            while len(self._kept) > max(least, 0) and (len(self._kept) > self.most or self.bytes > self.room):
                self.bytes -= self._kept.popitem(last=False)[1][1]


class Trim:
    """Gives memory that was freed back to the system, once so many bytes of pictures were looked at.

    Pictures of many sizes leave holes of many sizes, which an allocator keeps though nothing of their size may come.
    """

    def __init__(self, every: int = 32 * 2**20):
        self.every = every
        self._since = 0
        self._lock = threading.Lock()

    def after(self, looked_at: int) -> None:
        """Counts bytes of pictures."""
        with self._lock:
            self._since += looked_at
            due = self._since >= self.every
            if due:
                self._since = 0
        if due and _malloc_trim is not None:
            _malloc_trim(0)


def give_back_large() -> None:
    """From now on what this process frees of a MiB or more goes back to the system at once, for one that lives long.

    An allocator takes larger and larger pieces from its heap, as it meets them, and what lies between keeps the heap
    from shrinking: pictures of many sizes cost it hundreds of MiB that nothing uses.
    """
    if _mallopt is not None:
        _mallopt(_MMAP_THRESHOLD, _LARGE)
        _mallopt(_TRIM_THRESHOLD, _KEPT_FREE)


_LARGE, _KEPT_FREE = 2**20, 32 * 2**20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
# Where the C library is glibc's.
_malloc_trim, _mallopt = (
    getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None for name in ("malloc_trim", "mallopt")
)


def bytes_of(value: Any) -> int:
    """About how many bytes a value takes, with what it holds."""
    if isinstance(value, np.ndarray):
        return value.nbytes + 100
    if is_dataclass(value) and not isinstance(value, type):
        return 100 + sum(bytes_of(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, (list, tuple)):
        return 60 + sum(map(bytes_of, value))
    if isinstance(value, dict):
        return 60 + sum(bytes_of(key) + bytes_of(one) for key, one in value.items())
    return sys.getsizeof(value)
