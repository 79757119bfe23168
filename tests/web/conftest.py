"""The page as people start it, in a process of its own, and the same model in this one."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from moai.web.engine import Engine
from tests.web.visit import Visit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def engine():
    """The model of the drawn world in this process."""
    engine = Engine("moai-nano")
    engine.load()
    return engine


@pytest.fixture(scope="session")
def running():
    """A page that is ready to answer: its address, and the lines of its log so far."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-u", "app.py", "--model", "moai-nano", "--port", str(port)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said, ready = [], threading.Event()

    def listen():
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ready"):
                ready.set()
        ready.set()

    threading.Thread(target=listen, daemon=True).start()
    started = time.monotonic()
    ready.wait(150)
    if process.poll() is not None or not ready.is_set():
        process.kill()
        pytest.fail(f"the page was not ready after {time.monotonic() - started:.0f} s; it said:\n{''.join(said)}")
    yield f"http://127.0.0.1:{port}/", said
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


@pytest.fixture(scope="session")
def server(running):
    """Address of a running page that is ready to answer."""
    return running[0]


@pytest.fixture
def log(running):
    """What the page writes into its log during the test: call it for the lines so far."""
    lines = running[1]
    before = len(lines)
    return lambda: "".join(lines[before:])


@pytest.fixture
def visit(server):
    """A new visit to the page."""
    return Visit(server)
