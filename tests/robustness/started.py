"""A server in a process of its own, and what it wrote into its log."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import warm

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600
"""Seconds that a server has until it is ready, on a machine that is busy with others."""


@dataclass
class Started:
    """A server that answers at `address`; `said` are the lines of its log so far."""

    address: str
    said: list[str]
    process: subprocess.Popen | warm.Started

    @property
    def log(self) -> str:
        """Its log so far."""
        return "".join(self.said)

    def memory(self) -> float:
        """MiB of memory that it holds."""
        return memory_of(self.process.pid)


def memory_of(process: int | str) -> float:
    """MiB of memory that a process ("self": this one) holds, without the files that it has mapped."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def ended(process: int, seconds: int = 120) -> bool:
    """Whether a process is gone, or waits for being noticed, within so many seconds."""
    for _ in range(seconds * 10):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def started(words: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Started]:
    """`python WORDS --port N`, when it has said that it is ready; ended by SIGTERM, or by force.

    Raises RuntimeError with its log when it does not become ready.
    """
    port = free_port()
    command = [sys.executable, "-u", *words, "--port", str(port)]
    settings = os.environ | {"HF_HUB_OFFLINE": "1"} | dict(environment or {})
    read, write = os.pipe()
    process: subprocess.Popen | warm.Started
    if environment:  # libraries read it where they are imported, too
        process = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=write, stderr=write)
    else:
        process = warm.Started(command, ROOT, settings, write, write)
    os.close(write)
    said: list[str] = []
    ready = threading.Event()

    def listen():
        with open(read) as output:
            for line in output:
                said.append(line)
                if line.startswith("Ready"):
                    ready.set()
        ready.set()

    threading.Thread(target=listen, daemon=True).start()
    began = time.monotonic()
    ready.wait(PATIENCE)
    try:
        if process.poll() is not None or not ready.is_set():
            raise RuntimeError(f"not ready after {time.monotonic() - began:.0f} s; it said:\n{''.join(said)}")
        yield Started(f"http://127.0.0.1:{port}/", said, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
