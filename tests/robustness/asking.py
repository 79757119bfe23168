"""How a program asks the page and the server: an answer, or a ValueError with what was told."""

import base64
import json
from typing import Any

import httpx

PATIENCE = 600.0
_API = "gradio_api"


class Lost(RuntimeError):
    """Neither an answer nor a sentence came back."""


class Asker:
    """One visitor. `address` ends in a slash."""

    def __init__(self, address: str):
        self.http = httpx.Client(base_url=address, timeout=PATIENCE)

    def close(self) -> None:
        """Hangs up."""
        self.http.close()

    def page(self, picture: bytes, question: str, name: str = "picture.png") -> str:
        """Uploads a picture and asks the page's endpoint; ValueError with what people are told, or Lost."""
        reply = self.http.post(f"{_API}/upload", files={"files": (name, picture)})
        if reply.status_code in (400, 413, 507):
            raise ValueError(reply.text)
        if reply.status_code != 200:
            raise Lost(f"upload: status {reply.status_code}: {reply.text[:200]}")
        return self.endpoint({"path": reply.json()[0]}, question)

    def endpoint(self, picture: Any, question: Any) -> str:
        """What the page's endpoint answers."""
        joined = self.http.post(f"{_API}/call/ask", json={"data": [picture, question]})
        if joined.status_code == 503:
            raise ValueError(str(joined.json()["detail"]))
        if joined.status_code != 200:
            raise Lost(f"call: status {joined.status_code}: {joined.text[:200]}")
        event, data = None, None
        for line in self.http.get(f"{_API}/call/ask/{joined.json()['event_id']}").text.splitlines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: ") and event in ("complete", "error"):
                data = json.loads(line.removeprefix("data: "))
        if event == "complete" and data:
            return data[0]
        told = data.get("error") if isinstance(data, dict) else data
        if event != "error" or not told:
            raise Lost(f"the page told {event} {data}")
        raise ValueError(told)

    def leave_page(self, picture: bytes, question: str) -> None:
        """Asks the page and hangs up before the answer."""
        path = self.http.post(f"{_API}/upload", files={"files": ("picture.png", picture)}).json()[0]
        joined = self.http.post(f"{_API}/call/ask", json={"data": [{"path": path}, question]})
        with self.http.stream("GET", f"{_API}/call/ask/{joined.json()['event_id']}"):
            pass

    def server(self, picture: bytes | None, question: str, stream: bool = False, **settings: Any) -> str:
        """Asks the server as OpenAI's clients do; ValueError with what programs are told, or Lost."""
        body = _body(picture, question, stream, settings)
        if stream:
            return self._streamed(body)
        reply = self.http.post("v1/chat/completions", content=body, headers=_JSON)
        if reply.status_code == 200:
            return reply.json()["choices"][0]["message"]["content"]
        raise _refusal(reply.status_code, reply.text)

    def _streamed(self, body: bytes) -> str:
        with self.http.stream("POST", "v1/chat/completions", content=body, headers=_JSON) as reply:
            if reply.status_code != 200:
                raise _refusal(reply.status_code, reply.read().decode())
            text, done = "", False
            for line in reply.iter_lines():
                if line == "data: [DONE]":
                    done = True
                elif line.startswith("data: "):
                    event = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        raise ValueError(event["error"]["message"])
                    text += "".join(one["delta"].get("content") or "" for one in event["choices"])
        if not done:
            raise Lost("the stream ended without its end")
        return text

    def leave_server(self, picture: bytes, question: str) -> None:
        """Asks the server and hangs up after the first words."""
        body = _body(picture, question, True, {})
        with self.http.stream("POST", "v1/chat/completions", content=body, headers=_JSON) as reply:
            next(reply.iter_lines(), None)


class Busy(ValueError):
    """The server is told to have too much to do; one comes again later."""


_JSON = {"content-type": "application/json"}


def _body(picture: bytes | None, question: str, stream: bool, settings: dict) -> bytes:
    parts: list[dict] = [{"type": "text", "text": question}]
    if picture is not None:
        url = "data:image/png;base64," + base64.b64encode(picture).decode()
        parts.append({"type": "image_url", "image_url": {"url": url}})
    body = {"model": "moai-nano", "messages": [{"role": "user", "content": parts}], "stream": stream, "temperature": 0}
    # Not as httpx does, which cannot send half of a character.
    return json.dumps(body | settings).encode()


def _refusal(status: int, text: str) -> Exception:
    try:
        told = json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return Lost(f"status {status} without a sentence: {text[:200]}")
    if status == 429:
        return Busy(told)
    return ValueError(told) if 400 <= status < 500 else Lost(f"status {status}: {told}")
