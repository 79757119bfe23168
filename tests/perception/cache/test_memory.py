"""What is remembered of pictures has bounds, in number and in bytes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perception import Detection, Perception, Scene, Segment
from perception.memory import Memory, Trim, _mallopt, bytes_of
from perception.networks import network as networks
from perception.networks.network import Found, Network

ROOT = Path(__file__).parents[3]
PICTURE = np.full((64, 50, 3), 90, np.uint8)


def test_number_and_bytes_are_bounded():
    memory = Memory(3, 10_000)
    for number in range(9):
        memory.put(number, np.zeros(1_000, np.uint8))
    assert [memory.get(number) is not None for number in range(9)] == [False] * 6 + [True] * 3
    memory.put(8, np.zeros(8_000, np.uint8))
    assert len(memory) == 2 and memory.get(7) is not None
    memory.put("large", np.zeros(20_000, np.uint8))
    assert len(memory) == 0 and memory.bytes == 0
    last = Memory(3, 10_000, keeps_last=True)
    for number in range(3):
        last.put(number, np.zeros(20_000, np.uint8))
    assert len(last) == 1 and last.get(2) is not None and last.bytes >= 20_000


def test_what_was_asked_for_stays():
    memory = Memory(2, 10_000)
    memory.put("a", 1), memory.put("b", 2)
    assert memory.get("a") == 1
    memory.put("c", 3)
    assert memory.get("b") is None and memory.get("a") == 1


def test_bytes_count_masks_texts_and_lists():
    mask = np.zeros((100, 200), bool)
    scene = Scene(200, 100, segments=[Segment("cat", (0, 0, 1, 1), 0.9, mask)] * 3)
    assert 60_000 < bytes_of(scene) < 63_000
    assert bytes_of(Scene(9, 9, more={"tags": ["x" * 50_000]})) > 50_000


def test_scenes_are_kept_by_their_bytes(monkeypatch):
    calls = []

    def see(picture, scene):
        calls.append(1)
        masks = np.random.default_rng(int(picture[0, 0, 0])).random((20, 64, 50)) > 0.5
        scene.segments = [Segment("cat", (0.0, 0.0, 1.0, 1.0), 0.9, mask) for mask in masks]

    monkeypatch.setattr("perception.perception.MAX_CACHED_BYTES", 50_000)
    perception = Perception("seg", segmentation=see)
    first = perception(PICTURE)
    again = perception(PICTURE)
    assert len(calls) == 1 and again == first
    for one, other in zip(first.segments, again.segments, strict=True):
        assert other.mask.dtype == bool and np.array_equal(one.mask, other.mask)
    for number in range(1, 8):
        perception(PICTURE + number)
    assert perception._cache.bytes <= 50_000 and len(perception._cache) < 8
    perception(PICTURE)
    assert len(calls) == 9


class Masks(Network[Found]):
    """Finds one mask as large as the picture."""

    looked = 0

    def _load(self):
        return object()

    def _run(self, pictures):
        self.looked += len(pictures)
        return [Found(["cat"], np.ones(1), np.zeros((1, 4)), np.ones((1, *one.shape[:2]), bool)) for one in pictures]


def test_networks_remember_by_their_bytes(monkeypatch):
    monkeypatch.setattr(networks, "_MEMO_ROOM", 10_000)
    network = Masks()
    pictures = [PICTURE + number for number in range(8)]
    assert len(network.batch(pictures)) == 8 and network._memo.bytes <= 10_000
    network(pictures[-1])
    assert network.looked == 8
    network(pictures[0])
    assert network.looked == 9
    large = np.zeros((200, 200, 3), np.uint8)
    network(large), network(large)  # two experts that ask for one picture
    assert network.looked == 10


@pytest.mark.parametrize("there", [True, False])
def test_freed_memory_is_given_back_now_and_then(there, monkeypatch):
    given = []
    monkeypatch.setattr("perception.memory._malloc_trim", given.append if there else None)
    trim = Trim(every=100)
    for _ in range(7):
        trim.after(30)
    assert given == [0] * there


def test_a_perception_gives_memory_back(monkeypatch):
    given = []
    monkeypatch.setattr("perception.memory._malloc_trim", given.append)

    def see(picture, scene):
        scene.detections = [Detection("cat", (0.0, 0.0, 1.0, 1.0), 0.9)]

    perception = Perception("det", detection=see)
    perception._trim.every = PICTURE.size * 3
    for number in range(6):
        perception(PICTURE + number)
    assert given == [0, 0]


_HOLES = """
import numpy as np
from perception.memory import give_back_large
from tests.robustness.started import memory_of

give_back_large()
for size in (30, 8, 16):
    np.ones(size * 2**20, np.uint8)
before, kept, behind = memory_of("self"), [], []
for number in range(40):
    kept.append(np.ones(4 * 2**20, np.uint8))
    behind.append(bytes(4000))
kept.clear()
print(memory_of("self") - before)
"""


@pytest.mark.skipif(_mallopt is None, reason="there is no malloc of glibc")
def test_large_pieces_leave_no_holes_behind():
    ran = subprocess.run([sys.executable, "-c", _HOLES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 4  # MiB; 24 without


def test_a_pass_is_bounded_by_pixels(monkeypatch):
    passes = []

    class See:
        def prepare(self, pictures):
            passes.append(len(pictures))

        def __call__(self, picture, scene):
            pass

    monkeypatch.setattr("perception.perception.MAX_PIXELS", 3 * 64 * 50)
    scenes = Perception("det", detection=See()).batch([PICTURE + number for number in range(8)])
    assert len(scenes) == 8 and passes == [3, 3, 2]
