"""Keys, limits, clients that leave, and the end of a server."""

import json
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from moai.web.engine import Engine
from tests.robustness.started import started
from tests.serving.conftest import Running, asking

from moai.serving.app import create_app  # isort: skip
from moai.serving.settings import Settings  # isort: skip

ROOT = Path(__file__).resolve().parents[2]
JSON = "Content-Type: application/json\r\n"
LONG = {"messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": 800, "stop": ["no such text"]}


@pytest.fixture(scope="module")
def endless(model_folder):
    """An engine whose answers are as long as may be."""
    from moai.assistant import MoAI
    from perception import Perception

    engine = Engine(str(model_folder))
    given = Perception(experts="seg", segmentation=lambda picture, scene: None)
    assistant = MoAI.from_pretrained(model_folder, device="cpu", perception=given)
    assistant.model.generation_config.eos_token_id = None
    engine.use(assistant)
    return engine


@pytest.fixture(scope="module")
def small(endless):
    """A server with narrow limits: two answers at once, and one that waits."""
    limits = Settings(
        keys=("one", "two"), rows=2, max_waiting=1, max_body_bytes=5000, body_seconds=1.0, max_pixels=5000
    )
    running = Running(create_app(endless, limits))
    yield running
    running.close()


def post(server, body, key="one", **options):
    headers = {"Authorization": f"Bearer {key}".encode("latin-1")}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60, **options)


def short(**more):
    return {"messages": [{"role": "user", "content": "A dog"}], "max_tokens": 2} | more


def test_a_key_is_needed(small):
    for key, status in (("one", 200), ("two", 200), ("three", 401), ("onetwo", 401), ("\u00fc", 401)):
        reply = post(small, short(), key=key)
        assert reply.status_code == status, reply.text
    refused = httpx.post(f"{small.url}/v1/chat/completions", json=short())
    assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert httpx.get(f"{small.url}/v1/models").status_code == 401
    assert httpx.get(f"{small.url}/health").status_code == 200


def test_bodies_and_pictures_have_a_size(small):
    large = post(small, short(messages=[{"role": "user", "content": "x" * 6000}]))
    assert large.status_code == 413 and large.json()["error"]["code"] == "too_large"
    parts = (b"x" * 1000 for _ in range(20))
    headers = {"Authorization": "Bearer one", "Content-Type": "application/json"}
    chunked = httpx.post(f"{small.url}/v1/chat/completions", content=parts, headers=headers)
    assert chunked.status_code == 413
    form = httpx.post(
        f"{small.url}/v1/chat/completions", content=json.dumps(short()), headers={"Authorization": "Bearer one"}
    )
    assert form.status_code == 415 and "application/json" in form.json()["error"]["message"]


def asking_about(url):
    part = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}]


def test_a_picture_has_a_number_of_pixels(small):
    import base64
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (100, 60), "red").save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    reply = post(small, short(messages=asking_about(url)))
    assert reply.status_code == 400 and "100 x 60 pixels, too many" in reply.json()["error"]["message"]


def test_a_body_has_to_come(small):
    host, port = small.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer one\r\n{JSON}"
        slow.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert b"408" in slow.recv(1000).split(b"\r\n")[0]


def streamed(server, leave):
    """Reads a long stream until `leave` is set, and returns what came."""
    headers, text = {"Authorization": "Bearer one"}, ""
    with httpx.stream(
        "POST",
        f"{server.url}/v1/chat/completions",
        json=LONG | {"stream": True, "max_tokens": 250},
        headers=headers,
        timeout=60,
    ) as reply:
        for line in reply.iter_lines():
            text += line
            if leave.is_set():
                break
    return text


def wait_until(true, seconds=60):
    """Asks again and again; fails when it does not become true."""
    waiting = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if true():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not become so")


def test_overload_is_told_and_who_leaves_makes_room(small):
    service = small.app.state.service
    leave, gone = threading.Event(), service.metrics.gone._value.get()
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(streamed, small, leave) for _ in range(3)]
        wait_until(lambda: service.admission.present == 3 or all(one.done() for one in held))
        refused = post(small, short())
        leave.set()
        texts = [one.result() for one in held]
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["error"]["type"] == "rate_limit_error"
    wait_until(lambda: service.admission.present == 0)
    assert service.metrics.gone._value.get() > gone and not all("[DONE]" in text for text in texts)
    writer = service.assistant._writer
    wait_until(lambda: not writer._written and not writer._waiting)
    assert post(small, short()).status_code == 200


def test_who_leaves_before_the_answer_stops_it(small):
    service = small.app.state.service
    writer = service.assistant._writer
    host, port = small.url.removeprefix("http://").split(":")
    body = json.dumps(LONG | {"max_tokens": 250}).encode()
    before = service.metrics.new_tokens._value.get()
    with socket.create_connection((host, int(port))) as client:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer one\r\n{JSON}"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: writer._written)
    wait_until(lambda: not writer._written and service.admission.present == 0)
    assert service.metrics.new_tokens._value.get() == before  # no answer was finished


def test_a_server_that_loads_or_cannot_load_says_so(small):
    engine = Engine("moai-nano")
    running = Running(create_app(engine, Settings()))
    try:
        loading = httpx.get(f"{running.url}/health")
        assert loading.status_code == 503 and loading.json()["status"] == "loading"
        asked = httpx.post(f"{running.url}/v1/chat/completions", json=short())
        assert (
            asked.status_code == 503 and asked.headers["Retry-After"] and "loading" in asked.json()["error"]["message"]
        )
        engine.model = "no-such-model"
        with pytest.raises(ValueError):
            engine.load()
        failed = httpx.get(f"{running.url}/health")
        assert failed.status_code == 503 and failed.json()["status"] == "failed"
    finally:
        running.close()


@pytest.fixture
def held_up(endless, monkeypatch):
    """A server whose answers wait until they are released: the server, that one has begun, and the release."""
    running = Running(create_app(endless, Settings(drain_seconds=60)))
    assistant, began, released = running.app.state.service.assistant, threading.Event(), threading.Event()
    say = assistant.say

    def wait(*given):
        began.set()
        released.wait(120)
        return say(*given)

    monkeypatch.setattr(assistant, "say", wait)
    yield running, began, released
    released.set()
    running.close()


def test_what_is_under_way_is_finished_at_the_end(held_up):
    running, began, released = held_up
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(post, running, short())
        assert began.wait(60)
        running.server.handle_exit(signal.SIGTERM, None)
        refused = post(running, short())
        assert httpx.get(f"{running.url}/health").json() == {"status": "ending"}
        released.set()
        assert held.result().json()["usage"]["completion_tokens"] == 2
    assert refused.status_code == 503 and refused.json()["error"]["code"] == "ending"
    running.thread.join(60)
    assert not running.thread.is_alive()


def test_what_takes_too_long_is_left_at_the_end(held_up, monkeypatch):
    running, began, released = held_up
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(post, running, short())
        assert began.wait(60)
        running.server.end()
        monkeypatch.setattr(running.server, "_until", 0.0)  # the time is over
        running.thread.join(60)
        assert not running.thread.is_alive()
        released.set()
        assert isinstance(held.exception(), httpx.HTTPError) or held.result().status_code >= 500


@pytest.mark.slow
def test_the_command_serves_page_and_programs_and_ends_at_sigterm(monkeypatch):
    monkeypatch.setenv("MOAI_KEYS", "secret other")
    with started(["-m", "moai", "serve", "--model", "moai-nano"]) as server:
        url = server.address.rstrip("/")
        headers = {"Authorization": "Bearer other"}
        body = {"messages": asking("What does the sign say?", "street")}
        said = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60).json()
        assert said["choices"][0]["message"]["content"] == "GALLERY"
        assert "gradio" in httpx.get(f"{url}/").text  # the page, or the way in
        assert httpx.get(f"{url}/config").status_code == 401
        with httpx.Client(base_url=url) as visitor:
            assert visitor.post("login", data={"username": "me", "password": "wrong"}).status_code == 400
            assert visitor.post("login", data={"username": "me", "password": "secret"}).status_code == 200
            assert visitor.get("config").json()["title"] == "MoAI"
        assert httpx.get(f"{url}/health", headers={"Host": "elsewhere.example"}).status_code == 400
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
    assert "Traceback" not in server.log
