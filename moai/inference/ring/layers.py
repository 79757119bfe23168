"""The layers of a decoder one after another: resident ones, and those that pass through slots that go round.

While layers compute, the next streamed ones are copied from pinned memory of the host on a stream of their own; behind
the last layer of a step the first ones of the next. On a device without streams the copies are plain, and all else the
same.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from moai.inference.ring.needs import Needs
from moai.inference.ring.packing import Packed
from moai.inference.ring.plan import Plan, more_residents, planned, told


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

    Each of these says what it needs by `reserve`. A prompt's pass holds more than a step: between prompts, layers stay
    in the memory that it leaves. Whoever passes holds `turn`; a new pass ends what an exception has left of the one
    before. `ahead` False copies a layer only when it is wanted, to measure what copying ahead gains.
    """

    def __init__(self, layers: Sequence[Packed], device: torch.device, budget: int, slots: int = 2, ahead: bool = True):
        self.layers, self.device, self.budget, self.slots, self.ahead = layers, device, budget, slots, ahead
        self.sizes = [len(layer.memory) for layer in layers]
        self.turn = threading.RLock()
        self.plan: Plan | None = None
        self.between: frozenset[int] = frozenset()
        """Layers that the plan streams, but that stay from one step to the next."""
        self._needs: WeakKeyDictionary[Any, Needs] = WeakKeyDictionary()
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._resident: dict[int, Tensor] = {}
        self._staying: dict[int, Slot] = {}
        self._slots: list[Slot] = []
        self._empty: deque[Slot] = deque()
        self._loaded: deque[Slot] = deque()
        self._made: dict[tuple[int, int], Any] = {}
        self._next = self._left = 0
        """Which streamed layer is copied next, and how many of this pass are yet to be."""
        self._under_way = self._prompt = self._whole = False

    def reserve(self, owner: Any, needs: Needs) -> None:
        """Keeps free what `owner` needs from now on, as long as it lives; residents leave where they must.

        Raises torch.OutOfMemoryError with one sentence where even the slots do not fit beside it.
        """
        with self.turn:
            needs = Needs(*map(max, needs, self._needs.get(owner, needs)))
            self._fit([*(one for who, one in self._needs.items() if who is not owner), needs])
            self._needs[owner] = needs

    def _fit(self, needs: Sequence[Needs]) -> None:
        left = self.budget - _together(needs)
        if self.plan is None or self.plan.bytes(self.sizes) > left:
            plan = planned(left, self.sizes, self.slots)
            if plan is None:
                slots, others = self.slots * max(self.sizes), self.budget - left
                raise torch.OutOfMemoryError(f"{told(slots)} of layers do not fit beside {told(others)}")
            self.arrange(plan)
        assert self.plan is not None
        room = self.budget - self.plan.bytes(self.sizes) - _together(needs, stepping=True)
        self.between = more_residents(self.plan, self.sizes, room)
        if self._staying.keys() - self.between:
            self.make_way()

    @property
    def planned(self) -> int:
        """Bytes that all will take at most, with layers and slots."""
        return _together(list(self._needs.values())) + (0 if self.plan is None else self.plan.bytes(self.sizes))

    def arrange(self, plan: Plan) -> None:
        """Takes the layers to the device that a plan has there, and gives back the memory of the others."""
        self.give_back({number: one for number, one in self._resident.items() if number in plan.resident})
        largest = max((self.sizes[number] for number in plan.streamed), default=0)
        self._slots = [self._new_slot(largest) for _ in range(plan.slots)]
        for number in plan.resident:
            if number not in self._resident:
                self._resident[number] = self.layers[number].memory.to(self.device, copy=True)
        self.plan = plan
        self._start_anew()

    def give_back(self, kept: dict[int, Tensor] | None = None) -> None:
        """Gives the device's memory back but for residents that are `kept`; the next `reserve` arranges it anew."""
        with self.turn:
            self.plan, self._resident, self.between = None, kept or {}, frozenset()
            for held in (self._slots, self._empty, self._loaded, self._made, self._staying):
                held.clear()
            if self._copies is not None:
                torch.cuda.empty_cache()

    def make_way(self) -> None:
        """Gives back what stays between prompts, for whatever is as large as a prompt's pass."""
        if self._staying:
            self._staying.clear()
            self._made.clear()
            self._start_anew()

    def passing(self, prompt: bool = False, whole: bool = False) -> Iterator[Any]:
        """Every layer, in order, each to be used before the next is asked for; `prompt` says that it is no step,
        `whole` that partial LoRA comes with it."""
        self._begin(prompt, whole)
        for number in range(len(self.layers)):
            if number in self._resident:
                yield self._layer(number, -1, self._resident[number])
                continue
            while not self._loaded and number not in self._staying:
                self._load()
            if self._loaded and self._loaded[0].number == number:
                slot = self._loaded.popleft()
                if self._whole and slot.loaded < self.sizes[number]:
                    self._copy(slot, self.sizes[number])
                self._wait_for(slot)
                yield self._layer(number, self._slots.index(slot), slot.memory)
                self._release(slot)
                self._load_ahead()
            else:
                self._wait_for(self._staying[number])
                yield self._layer(number, -1, self._staying[number].memory)
        self._under_way = False

    def _begin(self, prompt: bool, whole: bool) -> None:
        if self.plan is None:
            self._fit(list(self._needs.values()))
        assert self.plan is not None
        if prompt:
            self.make_way()
        if self._under_way:
            # The pass before was left in the middle; what it may still read is free behind it.
            self._start_anew()
        self._under_way, self._prompt, self._whole = True, prompt, whole
        self._left += len(self.plan.streamed)
        self._load_ahead()

    def _start_anew(self) -> None:
        self._empty.clear()
        self._loaded.clear()
        for slot in self._slots:
            self._release(slot)
        self._next = self._left = 0
        self._under_way = False

    def _load_ahead(self) -> None:
        assert self.plan is not None
        # Behind a prompt's pass other layers are wanted than those that it streams.
        while self.ahead and self._empty and (self._left > 0 or not self._prompt):
            if len(self._staying) == len(self.plan.streamed):
                return
            self._load()

    def _load(self) -> None:
        """Copies the next streamed layer, of this pass or, for a step, of the next, where it is not there already."""
        assert self.plan is not None
        number = self.plan.streamed[self._next]
        self._next = (self._next + 1) % len(self.plan.streamed)
        self._left -= 1
        if number in self._staying or self._stays(number):
            return
        slot = self._empty.popleft()
        slot.number, slot.loaded = number, 0
        self._copy(slot, self.sizes[number] if self._whole and self._left >= 0 else self.layers[number].body)
        self._loaded.append(slot)

    def _stays(self, number: int) -> bool:
        """Copies a layer that stays between prompts into memory of its own, if it is one and there is some."""
        if self._prompt or number not in self.between:
            return False
        try:
            slot = self._new_slot(self.sizes[number])
        except torch.OutOfMemoryError:
            self.between = frozenset(self._staying)
            return False
        slot.number = number
        self._copy(slot, self.layers[number].body)
        self._staying[number] = slot
        return True

    def _new_slot(self, size: int) -> Slot:
        slot = Slot(size, self.device, self._copies)
        self._free(slot)  # behind whatever its memory was used for before
        return slot

    def _wait_for(self, slot: Slot) -> None:
        if slot.ready is not None:
            torch.cuda.current_stream(self.device).wait_event(slot.ready)

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

    def _free(self, slot: Slot) -> None:
        if slot.free is not None:
            slot.free.record(torch.cuda.current_stream(self.device))

    def _release(self, slot: Slot) -> None:
        self._free(slot)
        self._empty.append(slot)

    def _layer(self, number: int, slot: int, memory: Tensor) -> Any:
        key = (number, slot)
        if key not in self._made:
            self._made[key] = self.layers[number].unpacked(memory)
        return self._made[key]


def _together(needs: Sequence[Needs], stepping: bool = False) -> int:
    """What all keep, and what the largest pass (or step) of them takes."""
    largest = max(((one.stepping if stepping else one.passing) for one in needs), default=0)
    return sum(one.kept for one in needs) + largest
