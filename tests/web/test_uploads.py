"""What people may ask about: their uploads and the examples, through every way in, and nothing else."""

import io
import json
import os
import uuid
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from moai.web.uploads import NOT_HERE

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
META = {"meta": {"_type": "gradio.FileData"}}
QUESTION = "What does the sign say?"


class Visit:
    """One visit to the page, by a program that sends what it likes."""

    def __init__(self, server):
        self.http = httpx.Client(base_url=server, timeout=120)
        self.session = {"session_hash": uuid.uuid4().hex}
        config = self.http.get("config").json()
        self.kinds = {one["id"]: one for one in config["components"]}
        self.events = [one for one in config["dependencies"] if self._pictures(one) and one["backend_fn"]]

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

    def run(self, event, picture):
        """Straight: status and body."""
        body = {"fn_index": event["id"], "data": self.data(event, picture), **self.session}
        reply = self.http.post("gradio_api/run/predict", json=body)
        return reply.status_code, reply.json()

    def queue(self, event, picture, **others):
        """Through the queue, as the browser does: whether it went well, and what came of it."""
        body = {"fn_index": event["id"], "data": self.data(event, picture, **others), **self.session}
        joined = self.http.post("gradio_api/queue/join", json=body)
        assert joined.status_code == 200, joined.text
        last = None
        with self.http.stream("GET", "gradio_api/queue/data", params=self.session) as messages:
            for line in messages.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line else {}
                if message.get("msg") == "process_completed":
                    last = message
                if message.get("msg") == "close_stream":
                    break
        return last["success"], last["output"]

    def call(self, picture):
        """The named endpoint, as its page of documentation shows."""
        event = self.http.post("gradio_api/call/ask", json={"data": [picture, QUESTION]}).json()["event_id"]
        return self.http.get(f"gradio_api/call/ask/{event}").text


@pytest.fixture
def visit(server):
    return Visit(server)


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """A picture that nobody uploaded."""
    path = tmp_path_factory.mktemp("private") / "private.png"
    path.write_bytes((EXAMPLES / "street.png").read_bytes())
    return path


def forms(path: Path, uploaded: str) -> list:
    """Everything by which a file of the server could be named."""
    folder = Path(uploaded).parent
    plain = [
        str(path),
        os.path.relpath(path, EXAMPLES.parent),
        os.path.join(EXAMPLES, os.path.relpath(path, EXAMPLES)),
        os.path.join(folder, os.path.relpath(path, folder)),
        f"/{path}",
        f"file://{path}",
        f"file:{path}",
        f"{path}\0.png",
    ]
    pictures = [{"path": one} | meta for one in plain for meta in ({}, META)]
    pictures += [
        {"path": str(path), "url": uploaded, "is_stream": True} | META,
        {"path": "https://192.0.2.1/picture.png"} | META,
        {"path": "https://192.0.2.1/picture.png", "is_stream": True} | META,
        {"path": [str(path)]},
        str(path),
        [{"path": str(path)} | META],
    ]
    return pictures


def test_no_event_takes_a_file_that_was_not_uploaded_and_none_tells_whether_it_exists(visit, private):
    uploaded = visit.upload(EXAMPLES / "bed.png")
    assert len(visit.events) > 5
    for event in visit.events:
        for path in (private, private.with_name("missing.png")):
            for picture in forms(path, uploaded):
                status, told = visit.run(event, picture)
                assert (status, told["error"]) == (500, NOT_HERE), (event["targets"], picture)


def test_nor_through_the_queue_or_the_named_endpoint(visit, private):
    uploaded = visit.upload(EXAMPLES / "bed.png")
    for path in (private, private.with_name("missing.png")):
        for picture in ({"path": str(path)}, {"path": str(path)} | META):
            for event in (visit.event("annotated"), visit.event("chat"), visit.event("compared")):
                success, told = visit.queue(event, picture)
                assert not success and told["error"] == NOT_HERE
        for picture in forms(path, uploaded):
            assert NOT_HERE in visit.call(picture), picture


def test_links_in_the_folder_of_uploads_do_not_lead_out_of_it(visit, private):
    uploaded = Path(visit.upload(EXAMPLES / "bed.png"))
    link = uploaded.with_name("link.png")
    link.symlink_to(private)
    try:
        for meta in ({}, META):
            assert visit.run(visit.event("annotated"), {"path": str(link)} | meta)[1]["error"] == NOT_HERE
    finally:
        link.unlink()


def test_a_file_in_another_field_is_not_fetched_either(visit):
    event = visit.event("compared")
    success, told = visit.queue(event, None, again={"path": "https://192.0.2.1/picture.png"} | META)
    assert not success and told["error"] == NOT_HERE


def test_uploads_and_examples_are_taken_with_and_without_what_gradio_adds(visit):
    for path in (visit.upload(EXAMPLES / "street.png"), str(EXAMPLES / "street.png")):
        for picture in ({"path": path}, {"path": path, "url": "https://192.0.2.1/other.png"} | META):
            assert "GALLERY" in visit.call(picture)


def test_the_second_event_of_a_visit_is_checked_and_read_as_the_first(visit, private, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes((EXAMPLES / "street.png").read_bytes()[:3000])
    broken = {"path": visit.upload(broken)} | META
    look, ask = visit.event("annotated"), next(one for one in visit.events if one["api_name"] == "ask")
    for width in (120, 140):
        clear = tmp_path / f"{width}.png"
        Image.new("RGBA", (width, 80), (0, 0, 0, 0)).save(clear)
        success, told = visit.queue(look, {"path": visit.upload(clear)} | META, layers=[])
        shown = visit.http.get(f"gradio_api/file={told['data'][2]['value']['path']}").content
        with Image.open(io.BytesIO(shown)) as annotated:
            assert success and np.asarray(annotated.convert("RGB")).min() > 250, "transparent is white"
        assert visit.run(look, {"path": str(private)}) == visit.run(ask, {"path": str(private)})
        assert visit.run(look, {"path": str(private)})[1]["error"] == NOT_HERE
        status, told = visit.run(ask, broken)
        assert status == 500 and "damaged" in told["error"]
