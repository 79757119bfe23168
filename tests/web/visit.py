"""A visit to the page by a program that sends what it likes."""

import json
import uuid
from pathlib import Path

import httpx

META = {"meta": {"_type": "gradio.FileData"}}
QUESTION = "What does the sign say?"


class Visit:
    """One visit; `events` are those of the page that take a picture."""

    def __init__(self, server):
        self.http = httpx.Client(base_url=server, timeout=120)
        self.session = {"session_hash": uuid.uuid4().hex}
        self.warnings = []
        config = self.http.get("config").json()
        self.kinds = {one["id"]: one for one in config["components"]}
        self.every = config["dependencies"]
        self.events = [one for one in self.every if self._pictures(one) and one["backend_fn"]]

    def _pictures(self, event):
        return [place for place, field in enumerate(event["inputs"]) if self.kinds[field]["type"] == "image"]

    def event(self, output):
        """The first event with an input picture and an output of this id."""
        shown = {field for field, one in self.kinds.items() if one["props"].get("elem_id") == output}
        return next(one for one in self.events if shown & set(one["outputs"]))

    def data(self, event, picture, **others):
        """What the fields of an event send: the picture, and `others` by the id of their field."""
        values = {"image": picture, "state": None, "textbox": QUESTION}
        fields = [self.kinds[field] for field in event["inputs"]]
        usual = [values.get(one["type"], one["props"].get("value")) for one in fields]
        return [others.get(one["props"].get("elem_id"), value) for one, value in zip(fields, usual, strict=True)]

    def upload(self, path, name=None):
        files = {"files": (name or Path(path).name, Path(path).read_bytes())}
        return self.http.post("gradio_api/upload", files=files).json()[0]

    def _post(self, way, body):
        # Not httpx's own encoding, which cannot send half of a character.
        return self.http.post(way, content=json.dumps(body), headers={"content-type": "application/json"})

    def run(self, event, picture):
        """Straight: status and body."""
        body = {"fn_index": event["id"], "data": self.data(event, picture), **self.session}
        reply = self._post("gradio_api/run/predict", body)
        return reply.status_code, reply.json()

    def queue(self, event, picture, **others):
        """Through the queue, as the browser does: whether it went well, and what came of it."""
        body = {"fn_index": event["id"], "data": self.data(event, picture, **others), **self.session}
        joined = self._post("gradio_api/queue/join", body)
        assert joined.status_code == 200, joined.text
        last = None
        with self.http.stream("GET", "gradio_api/queue/data", params=self.session) as messages:
            for line in messages.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line else {}
                if message.get("msg") == "log":
                    self.warnings.append(message["log"])
                if message.get("msg") == "process_completed":
                    last = message
                if message.get("msg") == "close_stream":
                    break
        return last["success"], last["output"]

    def submit(self, question):
        """Send a question as the field does; the event with the output `chat` then answers it."""
        (field,) = [key for key, one in self.kinds.items() if one["props"].get("elem_id") == "question"]
        event = next(one for one in self.every if [field, "submit"] in one["targets"])
        return self._post(
            "gradio_api/run/predict", {"fn_index": event["id"], "data": [None, question], **self.session}
        ).json()

    def call(self, picture, question=QUESTION):
        """The named endpoint, as its page of documentation shows."""
        event = self._post("gradio_api/call/ask", {"data": [picture, question]}).json()["event_id"]
        return self.http.get(f"gradio_api/call/ask/{event}").text
