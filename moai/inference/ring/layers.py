"""The layers of a decoder one after another: resident ones, and those that pass through slots that go round.

While layers compute, the next streamed ones are copied from pinned memory of the host on a stream of their own; behind
the last layer the first ones of the next pass. On a device without streams the copies are plain, and all else the same.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from moai.inference.ring.needs import Needs
from moai.inference.ring.packing import Packed
from moai.inference.ring.plan import Plan, planned, told


class Slot:
    """Memory on the device for one layer; `number` of the one that it holds, the first `loaded` bytes of it.

    On CUDA `ready` is recorded behind a copy into it, `free` behind what reads it.
    """

    def __init__(self, size: int, device: torch.device, copies: "torch.cuda.Stream | None"):
        self.memory = torch.empty(size, dtype=torch.uint8, device=device)
        self.number = -1
        self.loaded = 0
        self.ready = self.free = None
        if copies is not None:
            # Whoever gets this memory afterwards waits for the copies into it.
            self.memory.record_stream(copies)
            self.ready, self.free = torch.cuda.Event(), torch.cuda.Event()


class Ring:
    """Layers in memory of the host, on `device` as many as fit into `budget` bytes beside what others need of it.

    Each of these says what it needs by `reserve`. `ahead` False copies a layer only when it is wanted, to measure what
    copying ahead gains. One pass at a time: a new one ends what an exception has left of the one before.
    """

    def __init__(self, layers: Sequence[Packed], device: torch.device, budget: int, slots: int = 2, ahead: bool = True):
        self.layers, self.device, self.budget, self.slots, self.ahead = layers, device, budget, slots, ahead
        self.sizes = [len(layer.memory) for layer in layers]
        self.plan: Plan | None = None
        self._needs: WeakKeyDictionary[Any, Needs] = WeakKeyDictionary()
        self._resident: dict[int, Tensor] = {}
        self._made: dict[tuple[int, int], Any] = {}
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._slots: list[Slot] = []
        self._empty: deque[Slot] = deque()
        self._loaded: deque[Slot] = deque()
        self._next = self._left = 0
        """Which streamed layer is copied next, and how many of this pass are yet to be."""
        self._under_way = self._whole = False

    def reserve(self, owner: Any, needs: Needs) -> None:
        """Keeps free what `owner` needs from now on, as long as it lives; residents leave where they must.

        Raises torch.OutOfMemoryError with one sentence where even the slots do not fit beside it.
        """
        before = self._needs.get(owner, needs)
        needs = Needs(max(before.kept, needs.kept), max(before.passing, needs.passing))
        taken = _together([*(one for who, one in self._needs.items() if who is not owner), needs])
        if self.plan is None or self.plan.bytes(self.sizes) > self.budget - taken:
            plan = planned(self.budget - taken, self.sizes, self.slots)
            if plan is None:
                slots = self.slots * max(self.sizes)
                raise torch.OutOfMemoryError(f"{told(slots)} of layers do not fit beside {told(taken)}")
            self.arrange(plan)
        self._needs[owner] = needs

    @property
    def planned(self) -> int:
        """Bytes that all will take at most, with layers and slots."""
        return _together(list(self._needs.values())) + (0 if self.plan is None else self.plan.bytes(self.sizes))

    def arrange(self, plan: Plan) -> None:
        """Takes the layers to the device that a plan has there, and gives back the memory of the others."""
        self._slots.clear()
        self._empty.clear()
        self._loaded.clear()
        self._made.clear()
        self._resident = {number: one for number, one in self._resident.items() if number in plan.resident}
        if self._copies is not None:
            torch.cuda.empty_cache()
        largest = max((self.sizes[number] for number in plan.streamed), default=0)
        self._slots = [Slot(largest, self.device, self._copies) for _ in range(plan.slots)]
        for number in plan.resident:
            if number not in self._resident:
                self._resident[number] = self.layers[number].memory.to(self.device, copy=True)
        self.plan, self._under_way, self._next = plan, False, 0
        for slot in self._slots:
            self._release(slot)  # behind whatever its memory was used for before

    def passing(self, whole: bool = False) -> Iterator[Any]:
        """Every layer, in order, each to be used before the next is asked for; `whole` with its partial LoRA."""
        assert self.plan is not None, "reserve or arrange comes first"
        self._begin(whole)
        for number in range(len(self.layers)):
            if number in self._resident:
                yield self._layer(number, -1, self._resident[number])
                continue
            slot = self._wait_for(number)
            yield self._layer(number, self._slots.index(slot), slot.memory)
            self._release(slot)
            self._load_ahead()
        self._under_way = False

    def _begin(self, whole: bool) -> None:
        assert self.plan is not None
        if self._under_way:
            # The pass before was left in the middle; what it may still read is free behind it.
            self._loaded.clear()
            self._empty.clear()
            for slot in self._slots:
                self._release(slot)
            self._next = 0
        self._under_way, self._whole = True, whole
        self._left = len(self.plan.streamed) - len(self._loaded)
        self._load_ahead()

    def _load_ahead(self) -> None:
        while self.ahead and self._empty:
            self._load()

    def _load(self) -> None:
        """The next streamed layer, of this pass or, without its partial LoRA, of the next one."""
        assert self.plan is not None
        slot, number = self._empty.popleft(), self.plan.streamed[self._next]
        layer = self.layers[number]
        slot.number, slot.loaded = number, 0
        self._copy(slot, self.sizes[number] if self._whole and self._left > 0 else layer.body)
        self._loaded.append(slot)
        self._next = (self._next + 1) % len(self.plan.streamed)
        self._left -= 1

    def _wait_for(self, number: int) -> Slot:
        if not self._loaded:
            self._load()
        slot = self._loaded.popleft()
        assert slot.number == number
        if self._whole and slot.loaded < self.sizes[number]:
            self._copy(slot, self.sizes[number])
        if slot.ready is not None:
            torch.cuda.current_stream(self.device).wait_event(slot.ready)
        return slot

    def _copy(self, slot: Slot, end: int) -> None:
        """Fills a slot from what it has of its layer up to the byte `end`."""
        target, source = (memory[slot.loaded : end] for memory in (slot.memory, self.layers[slot.number].memory))
        slot.loaded = end
        if self._copies is None or slot.ready is None or slot.free is None:
            target.copy_(source)
            return
        self._copies.wait_event(slot.free)
        if not self.ahead:
            self._copies.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._copies):
            target.copy_(source, non_blocking=True)
            slot.ready.record(self._copies)

    def _release(self, slot: Slot) -> None:
        if slot.free is not None:
            slot.free.record(torch.cuda.current_stream(self.device))
        self._empty.append(slot)

    def _layer(self, number: int, slot: int, memory: Tensor) -> Any:
        key = (number, slot)
        if key not in self._made:
            self._made[key] = self.layers[number].unpacked(memory)
        return self._made[key]


def _together(needs: Sequence[Needs]) -> int:
    return sum(one.kept for one in needs) + max((one.passing for one in needs), default=0)
