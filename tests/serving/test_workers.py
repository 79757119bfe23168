"""Processes that look at pictures beside a server."""

import os
import signal
from pathlib import Path

import httpx
import pytest
import torch

from moai.serving import service
from tests.perception.processes.test_aside import ended
from tests.robustness.started import started
from tests.serving.conftest import asking


def children_of(process):
    """Those that look at pictures."""
    there = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(one) for one in there if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def test_a_server_has_them_beside_a_gpu(monkeypatch):
    counts = []
    for cores in (2, 8, 64):
        monkeypatch.setattr(service, "cores", lambda cores=cores: cores)
        counts.append([service.workers_for(torch.device(device)) for device in ("cuda:0", "cpu")])
    assert counts == [[0, 0], [2, 0], [4, 0]]


@pytest.mark.slow
def test_a_server_answers_with_and_without_them():
    words = ["-m", "moai", "serve", "--model", "moai-nano", "--no-page", "--workers", "1"]
    with started(words, {"OMP_NUM_THREADS": "2"}) as server:

        def sign(name):
            body = {"messages": asking("What does the sign say?", name)}
            said = httpx.post(f"{server.address}v1/chat/completions", json=body, timeout=120).json()
            return said["choices"][0]["message"]["content"]

        assert sign("street") == "GALLERY"
        (child,) = children_of(server.process.pid)
        os.kill(child, signal.SIGKILL)
        assert ended(child)
        assert sign("street") == "GALLERY"
        left = children_of(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
    assert all(ended(one) for one in left)
    assert "Traceback" not in server.log
