"""One thread for all calls, and networks of a GPU that keep to theirs."""

import gc
import threading
import time

import numpy as np
import pytest

from perception.networks.network import Network, in_groups
from perception.networks.one_thread import OneThread


def test_all_calls_are_of_one_thread():
    alone = OneThread("alone")
    seen: set[threading.Thread] = set()
    askers = [threading.Thread(target=lambda: seen.add(alone(threading.current_thread))) for _ in range(8)]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    assert len(seen) == 1 and not seen & {*askers, threading.current_thread()}
    assert alone(lambda: alone(lambda: 3)) == 3
    with pytest.raises(SystemExit, match="seven"):
        alone(lambda: exit("seven"))
    assert alone(lambda: 4) == 4


def test_the_thread_ends_with_its_object():
    alone = OneThread("ends")
    thread = alone(threading.current_thread)
    del alone
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


class Told(Network[str]):
    """Names the thread that looks."""

    def __init__(self, cuda: bool):
        self.cuda = cuda
        super().__init__()

    def _on_cuda(self) -> bool:
        return self.cuda

    def _load(self) -> str:
        return "there"

    def _run(self, pictures):
        time.sleep(0.01)
        return [threading.current_thread().name] * len(pictures)


def test_a_network_of_a_gpu_keeps_to_its_thread():
    assert set(_lookers(Told(cuda=True))) == {"network"}
    assert "network" not in _lookers(Told(cuda=False))


def _lookers(network: Told) -> list[str]:
    names: list[str] = []

    def look(number: int) -> None:
        names.append(network(np.full((2, 2, 3), number, np.uint8)))

    askers = [threading.Thread(target=look, args=(number,)) for number in range(4)]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    assert len(names) == 4
    return names


def test_groups_of_a_gpu_are_of_few_sizes():
    sizes = []

    def run(items):
        sizes.append(len(items))
        return [10 * item for item in items]

    shapes = ["a"] * 7 + ["b"] + ["a"] * 4
    assert in_groups(range(12), shapes, run, together=True) == [10 * item for item in range(12)]
    assert sizes == [8, 2, 1, 1]
