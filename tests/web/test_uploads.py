"""What people may ask about: their uploads and the examples, through every way in, and nothing else."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moai.web.uploads import NOT_HERE
from tests.web.visit import META

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


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
