"""Builds the experts of one Perception, each when it is first needed."""

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from perception import registry
from perception.expert import Expert, ExpertUnavailable
from perception.forks import ProcessBound
from perception.presets import Entry

Shared = TypeVar("Shared")


class Builder(ProcessBound):
    """The experts of `entries`, by kind: Experts, or how to build them. `device` for networks, as torch names it; None
    lets each choose. What several experts need, such as a network, is built once and shared by them."""

    _built: dict[str, Expert]
    _parts: dict[Hashable, Any]
    _lock: threading.RLock

    def __init__(self, entries: Mapping[str, Entry | Expert], device: str | None = None):
        self.entries = dict(entries)
        self.device = device
        super().__init__()

    def _fresh(self) -> dict[str, Any]:
        return {"_built": {}, "_parts": {}, "_lock": threading.RLock()}

    def renew(self) -> None:
        """Forgets what was built: one that hangs may hold locks for ever."""
        self._renew()

    def expert(self, kind: str) -> Expert:
        """The expert of a kind, built now if it is not there yet; raises ExpertUnavailable when no entry names it."""
        found = self.find(kind)
        if found is None:
            raise ExpertUnavailable("no preset says what runs it")
        return found

    def find(self, kind: str) -> Expert | None:
        """The expert of a kind, or None when no entry names it."""
        with self._lock:
            if kind not in self._built and kind in self.entries:
                entry = self.entries[kind]
                self._built[kind] = self._build(kind, entry) if isinstance(entry, Entry) else entry
            return self._built.get(kind)

    def _build(self, kind: str, entry: Entry) -> Expert:
        own = registry.kind(kind).build
        if entry.backend is None and own is not None:
            return own(self)
        return registry.backend(str(entry.backend)).build(kind, entry.weights, self, **entry.options)

    def shared(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        """What `make` made for this key, the same for every expert that asks."""
        with self._lock:
            if key not in self._parts:
                self._parts[key] = make()
            return self._parts[key]
