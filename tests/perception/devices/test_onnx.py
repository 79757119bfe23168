"""Networks of onnxruntime on a GPU, and where there is none."""

import threading
from concurrent.futures import ThreadPoolExecutor
from difflib import SequenceMatcher
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import skimage
import torch

from perception import Perception
from perception.networks import onnx
from perception.networks.onnx import CUDA, cuda_options, on_gpu


def session_of(sessions, shape):
    return sessions.run(np.zeros(shape), lambda session: session)


def test_a_gpu_is_used_where_there_is_one(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA])
    for there in (0, 1):
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=there: there)
        assert [on_gpu(device) for device in (None, "cuda:1", "cpu")] == [bool(there), bool(there), False]
    monkeypatch.setattr(torch.cuda, "Stream", lambda number: SimpleNamespace(cuda_stream=number + 7))
    onnx._stream.cache_clear()
    told = [cuda_options(device) for device in (None, "cuda", "cuda:1")]
    onnx._stream.cache_clear()
    assert [(one["device_id"], one["user_compute_stream"]) for one in told] == [(0, "7"), (0, "7"), (1, "8")]


def test_other_sizes_need_not_wait_for_one_that_is_made():
    begun, go_on, made = threading.Event(), threading.Event(), iter([None, "small", ValueError("full"), "again"])

    def make():
        what = next(made)
        if what is None:
            begun.set()
            assert go_on.wait(10)
            return "large"
        if isinstance(what, ValueError):
            raise what
        return what

    sessions = onnx.EachSize("first", make, lambda: False)
    assert session_of(sessions, (1,)) == "first"
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(session_of, sessions, (9,)) for _ in range(2)]
        assert begun.wait(10)
        assert session_of(sessions, (2,)) == "small" and session_of(sessions, (1,)) == "first"
        go_on.set()
        assert [one.result() for one in waiting] == ["large", "large"]
    with pytest.raises(ValueError, match="full"):
        session_of(sessions, (3,))
    assert session_of(sessions, (3,)) == "again"


def test_one_thread_runs_all_sessions_of_a_network():
    sessions = onnx.EachSize("first", lambda: "other", lambda: False)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(sessions.run, np.zeros(size % 3), lambda _: threading.get_ident()) for size in range(12)]
    assert len({one.result() for one in calls} | {threading.get_ident()}) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not on_gpu(None), reason="needs CUDA and onnxruntime-gpu")
def test_a_gpu_sees_what_a_processor_sees():
    folder = Path(skimage.__file__).parent / "data"
    eyes = {device: Perception(experts_from="photo", cache_size=0, device=device) for device in ("cuda", "cpu")}
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "page.png"):
        scenes = {device: look(folder / name) for device, look in eyes.items()}
        assert not any(scene.warnings for scene in scenes.values())
        sure = [sorted(one.label for one in scene.detections if one.score > 0.3) for scene in scenes.values()]
        assert sure[0] == sure[1]
        # Padded to few sizes, a letter here and there is read as another.
        texts = ["\n".join(line.text for line in scene.text_lines) for scene in scenes.values()]
        assert SequenceMatcher(None, *texts, autojunk=False).ratio() > 0.95


def test_each_size_of_a_gpu_has_its_own_session(monkeypatch):
    monkeypatch.setattr(onnx, "MOST_SIZES", 2)
    made = iter("bcdef")
    scarce: list[bool] = []
    sessions = onnx.EachSize("a", lambda: next(made), lambda: bool(scarce))
    shapes = [(1, 2), (1, 3), (1, 2), (1, 4), (1, 2), (1, 3)]
    assert [session_of(sessions, shape) for shape in shapes] == ["a", "b", "a", "c", "a", "d"]
    scarce.append(True)
    assert [session_of(sessions, shape) for shape in [(1, 2), (1, 5), (1, 5), (1, 2)]] == ["a", "e", "e", "f"]
