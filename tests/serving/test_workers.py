"""Processes that look at pictures beside a server."""

import os
import signal
from pathlib import Path

import httpx
import pytest
import torch

from moai.assistant import MoAI
from moai.serving import service
from moai.serving.app import create_app
from moai.serving.settings import Settings
from moai.serving.together import assistant as together
from moai.web.engine import Engine
from tests.robustness.started import ended, started
from tests.serving.conftest import Running, asking

ASKED = (("street", "What does the sign say?", "GALLERY"), ("hammers", "How many hammers do you see?", "2"))


def said(url, picture, question):
    body = {"messages": asking(question, picture)}
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=120).json()
    return reply["choices"][0]["message"]["content"]


def children_of(process):
    """Those that look at pictures."""
    there = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(one) for one in there if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def test_a_server_has_them_beside_a_gpu(monkeypatch):
    counts = []
    for cores in (2, 8, 64):
        monkeypatch.setattr(together, "cores", lambda cores=cores: cores)
        counts.append([service.workers_for(torch.device(device)) for device in ("cuda:0", "cpu")])
    assert counts == [[0, 0], [2, 0], [4, 0]]


def test_they_look_for_the_server(monkeypatch):
    engine = Engine("moai-nano")
    engine.use(MoAI.from_pretrained("moai-nano"))
    running = Running(create_app(engine, Settings(workers=1)))
    try:
        perception = running.app.state.service.assistant.perception
        assert perception._aside.ready.wait(120)
        (process,) = perception._aside._pool._processes
        monkeypatch.setattr(perception, "look", lambda *given: pytest.fail("the server looked itself"))
        for picture, question, answer in ASKED:
            assert said(running.url, picture, question) == answer
    finally:
        running.close()
    assert ended(process)


@pytest.mark.slow
def test_a_server_answers_without_them_and_ends_with_them():
    words = ["-m", "moai", "serve", "--model", "moai-nano", "--no-page", "--workers", "1"]
    with started(words, {"OMP_NUM_THREADS": "2"}) as server:
        url = server.address.rstrip("/")
        (first, *asked, answer), (second, *other, number) = ASKED
        assert said(url, first, *asked) == answer
        (child,) = children_of(server.process.pid)
        os.kill(child, signal.SIGKILL)
        assert ended(child)
        assert said(url, second, *other) == number
        left = children_of(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
    assert all(ended(one) for one in left)
    assert "Traceback" not in server.log
