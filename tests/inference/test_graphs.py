"""Threads that capture graphs at the same time do not disturb one another."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from moai.inference.graphs import Graphs


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_threads_capture_at_once():
    device = torch.device("cuda")

    def captured(number: int) -> float:
        given, graphs = torch.full((64, 64), float(number), device=device), Graphs()

        def run() -> torch.Tensor:
            states = given
            for _ in range(200):
                states = states + 1
            return states

        graph, left = graphs.captured(run, device)
        graph.replay()
        return float(left.mean())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(captured, range(32))) == [number + 200.0 for number in range(32)]
