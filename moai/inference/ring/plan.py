"""Which layers of a decoder stay on the device when not all of them fit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UNITS = {
    f"{letter}{middle}B": (1024 if middle else 1000) ** power
    for power, letter in enumerate("KMGT", start=1)
    for middle in ("", "I")
}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]I?B)", re.ASCII)


def bytes_of(amount: str) -> int:
    """The bytes of an amount such as "8GB" (8 * 10**9), "7.5 GiB" (7.5 * 2**30) or "500MB"; ValueError otherwise."""
    found = _AMOUNT.fullmatch(amount.strip().upper())
    size = 0 if found is None else int(float(found[1]) * _UNITS[found[2]])
    if not 0 < size < 2**60:
        raise ValueError(f"{amount!r} is no amount of memory; write it as 8GB, 7.5GiB or 500MB")
    return size


def told(size: int) -> str:
    """Bytes for people: "5.1 GB", or "320 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"


@dataclass(frozen=True)
class Plan:
    """Numbers of layers that stay on the device, of those that pass through it, and how many slots these share."""

    resident: tuple[int, ...]
    streamed: tuple[int, ...]
    slots: int

    def bytes(self, sizes: Sequence[int]) -> int:
        """What residents and slots take, of layers of these sizes."""
        largest = max((sizes[layer] for layer in self.streamed), default=0)
        return sum(sizes[layer] for layer in self.resident) + self.slots * largest


def spread(layers: int, streamed: int, slots: int) -> Plan:
    """The plan with so many streamed layers, evenly between the others, so that copies overlap what those compute."""
    passing = tuple((2 * number + 1) * layers // (2 * streamed) for number in range(streamed))
    staying = tuple(layer for layer in range(layers) if layer not in set(passing))
    return Plan(staying, passing, min(slots, streamed))


def more_residents(plan: Plan, sizes: Sequence[int], room: int) -> frozenset[int]:
    """Of the layers that a plan streams as many as fit into `room` bytes more, evenly spread."""
    largest = max((sizes[layer] for layer in plan.streamed), default=1)
    count = max(0, min(len(plan.streamed), room // largest))
    return frozenset(plan.streamed[layer] for layer in spread(len(plan.streamed), count, 0).streamed)


def planned(budget: int, sizes: Sequence[int], slots: int = 2) -> Plan | None:
    """The plan that streams the fewest layers within `budget` bytes, all of `slots` slots full; None if there is none.

    sizes: bytes of each layer. With fewer streamed layers than slots nothing would be saved.
    """
    for streamed in (0, *range(slots + 1, len(sizes) + 1)):
        plan = spread(len(sizes), streamed, slots)
        if plan.bytes(sizes) <= budget:
            return plan
    return None
