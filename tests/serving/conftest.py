"""One server for all tests of this folder, with the small model of the drawn world, in this process."""

import asyncio
import base64
import threading
from pathlib import Path

import pytest

from moai.assistant import MoAI
from moai.web.engine import Engine
from tests.serving.on_ray import cluster  # noqa: F401

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

EXAMPLES = Path(__file__).parents[2] / "examples"


def data_url(name: str) -> str:
    """A picture of the examples, as clients send it."""
    return "data:image/png;base64," + base64.b64encode((EXAMPLES / f"{name}.png").read_bytes()).decode()


def asking(question: str, picture: str | None = None) -> list[dict]:
    """A conversation of one question about a picture of the examples."""
    parts = [{"type": "text", "text": question}]
    if picture is not None:
        parts.append({"type": "image_url", "image_url": {"url": data_url(picture)}})
    return [{"role": "user", "content": parts}]


class Running:
    """A server in a thread of its own, on a free port: `url`, `app`, and `close`."""

    def __init__(self, app):
        from moai.serving.draining import DrainingServer

        self.app = app
        self.server = DrainingServer(app, "127.0.0.1", 0)
        self.thread = threading.Thread(target=asyncio.run, args=(self.server.serve(),), daemon=True)
        self.thread.start()
        while not self.server.started:
            self.thread.join(0.01)
            assert self.thread.is_alive()
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def close(self) -> None:
        self.server.end()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture(scope="session")
def engine():
    """The model of the drawn world, loaded."""
    engine = Engine("moai-nano")
    engine.use(MoAI.from_pretrained("moai-nano"))
    return engine


@pytest.fixture(scope="session")
def server(engine):
    """A server with the usual settings."""
    from moai.serving.app import create_app

    running = Running(create_app(engine))
    yield running
    running.close()


@pytest.fixture(scope="session")
def client(server):
    """OpenAI's own client."""
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client
