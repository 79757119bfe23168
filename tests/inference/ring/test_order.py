"""What the streams of a GPU wait for, by clocks in their place: copies never meet readers, in any order of the two.

A stream's clock says how far it knows each stream to be; what an event has recorded, whoever waits for it knows.
"""

from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moai.inference.products import Branch
from moai.inference.ring import Ring
from moai.inference.ring.layers import Slot
from moai.inference.ring.packing import packed
from moai.inference.ring.plan import more_residents, spread

LAYERS = 6


class Stream:
    def __init__(self, name):
        self.name, self.clock = name, {}

    def tick(self):
        self.clock[self.name] = self.clock.get(self.name, 0) + 1
        return self.clock[self.name]

    def knows(self, other, moment):
        return self.clock.get(other.name, 0) >= moment

    def wait_clock(self, clock):
        self.clock = {name: max(self.clock.get(name, 0), clock.get(name, 0)) for name in {*self.clock, *clock}}

    def wait_event(self, event):
        self.wait_clock(event.clock)

    def wait_stream(self, other):
        self.wait_clock(other.clock)


class Event:
    def __init__(self):
        self.clock = {}

    def record(self, stream):
        stream.tick()
        self.clock = dict(stream.clock)


class Watched(Slot):
    """Notes when it is written and read, and looks whether whoever does so has waited."""

    def __init__(self, size, device, copies):
        super().__init__(size, device, None)
        self.ready, self.free = Event(), Event()
        self.reads = self.writes = 0


@contextmanager
def clocks(ring: Ring, compute: Stream, monkeypatch):
    copies = ring._copies = Stream("copies")
    plain = ring._copy

    def copy(slot, end):
        plain(slot, end)
        assert copies.knows(compute, slot.reads), "written while something may read it"
        slot.writes = copies.clock["copies"]

    @contextmanager
    def on(stream):
        assert stream is copies
        yield

    with monkeypatch.context() as patched:
        patched.setattr(ring, "_copy", copy)
        patched.setattr("moai.inference.ring.layers.Slot", Watched)
        patched.setattr(torch.cuda, "current_stream", lambda device=None: compute)
        patched.setattr(torch.cuda, "stream", on)
        patched.setattr(torch.cuda, "empty_cache", lambda: None)
        yield copies


PASSES = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, LAYERS)), min_size=1, max_size=8)
"""Whether it is a prompt, whether partial LoRA is wanted, and the layer behind which it is broken off."""


@settings(max_examples=100, deadline=None)
@given(st.integers(2, LAYERS), st.integers(2, 3), st.booleans(), st.integers(0, LAYERS), PASSES)
def test_copies_wait_for_readers_and_readers_for_copies(streamed, slots, ahead, room, passes):
    values = [torch.full((8,), number) for number in range(LAYERS)]
    trees = [(one, Branch((one + 10,), (), 1.0)) for one in values]
    layers = [packed(tree, lambda size: torch.empty(size, dtype=torch.uint8)) for tree in trees]
    ring, compute = Ring(layers, torch.device("cpu"), 10**9, ahead=ahead), Stream("compute")
    overlapped = 0
    with clocks(ring, compute, pytest.MonkeyPatch()) as copies:
        ring.arrange(spread(LAYERS, streamed, slots))
        ring.between = more_residents(ring.plan, ring.sizes, room * max(ring.sizes))
        for prompt, whole, end in passes:
            whole = whole and prompt
            for number, (body, branch) in enumerate(ring.passing(prompt, whole)):
                assert torch.equal(body, values[number])
                assert not whole or torch.equal(branch.downs[0], values[number] + 10)
                assert not (prompt and ring._staying)
                for slot in (*ring._slots, *ring._staying.values()):
                    if slot.memory.data_ptr() == body.untyped_storage().data_ptr():
                        assert compute.knows(copies, slot.writes), "read before it is there"
                        slot.reads = compute.tick()
                        # Another slot is being written meanwhile, which nobody here has waited for.
                        overlapped += any(not compute.knows(copies, other.writes) for other in ring._slots)
                if number == end:
                    break
    assert not overlapped or ahead
    assert overlapped or not ahead or room or passes[0][2] < LAYERS
