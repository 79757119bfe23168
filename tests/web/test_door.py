"""The names that the page answers to, and requests that are none of its own page's."""

import http.client
from urllib.parse import urlsplit

import httpx
import pytest

from moai.web.door import Door, name_in, names_of
from moai.web.uploads import NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("host", "more", "allowed", "refused"),
    [
        ("127.0.0.1", (), ("127.0.0.1:7860", "localhost", "LOCALHOST.:80", "[::1]:7860"), ("evil.example", "10.0.0.1")),
        ("::1", (), ("[::1]", "localhost:1"), ("::2", "", "localhost.evil.example")),
        ("10.0.0.1", ("moai.example",), ("10.0.0.1:80", "Moai.Example"), ("localhost", "a.moai.example", "10.0.0.2")),
        ("0.0.0.0", (), ("192.0.2.7:7860", "[2001:db8::1]", "localhost"), ("evil.example:7860", "1.2.3.4.example")),
        ("127.0.0.1", ("*",), ("anything.example",), ()),
    ],
)
def test_names_of_the_server(host, more, allowed, refused):
    door = Door(None, names_of(host, more))
    assert all(map(door.answers_to, allowed))
    assert not any(map(door.answers_to, refused))


def test_the_name_in_a_host_header():
    assert [name_in(one) for one in ("a:1", "[::1]:80", " A.B. ", "")] == ["a", "::1", "a.b", ""]


@pytest.mark.parametrize("path", ["", "config", "gradio_api/info", "gradio_api/upload", "theme.css", "no such page"])
def test_another_name_is_refused_everywhere(server, path):
    for host in ("evil.example", f"evil.example:{urlsplit(server).port}"):
        reply = httpx.get(server + path, headers={"host": host})
        assert reply.status_code == 400 and "--allow-host" in reply.text


def test_requests_that_no_page_makes_get_a_sentence_and_the_log_one_line(server, visit, log):
    replies = [
        visit.http.post("gradio_api/run/predict", json={"fn_index": 999, "data": [], **visit.session}),
        visit.http.post("gradio_api/queue/join", json={"fn_index": 999, "data": [], **visit.session}),
        visit.http.post("gradio_api/call/nothing", json={"data": []}),
        visit.http.post("gradio_api/upload", files={"files": ("", b"x")}),
        visit.http.get("assets/" + "a" * 400),
    ]
    assert {one.status_code for one in replies} == {400}
    assert {one.text for one in replies} == {"This is no request that the page makes. Load the page anew."}
    nameless = http.client.HTTPConnection(urlsplit(server).netloc)
    nameless.putrequest("GET", "/", skip_host=True)
    nameless.endheaders()
    assert nameless.getresponse().status == 400
    assert "Traceback" not in log() and len(log()) < 2000


def test_values_that_no_field_holds_get_a_sentence_and_the_log_nothing(visit, log):
    told = set()
    for event in visit.every:
        if event["backend_fn"] and event["inputs"]:
            usual = visit.data(event, None)
            for values in ([], usual[:-1], [{"a": 1}] * len(usual), ["x" * 600] * len(usual), [-5] * len(usual)):
                body = {"fn_index": event["id"], "data": values, **visit.session}
                reply = visit.http.post("gradio_api/run/predict", json=body)
                if reply.status_code != 200:
                    told.add(reply.json()["error"])
    assert NOT_UNDERSTOOD in told and all(one.endswith(".") and "/" not in one for one in told)
    assert "Traceback" not in log()


def test_no_name_of_a_file_makes_a_message_tell_a_path_of_the_server(visit, log):
    for name in (
        "a" * 255 + ".png",
        "é" * 150 + ".png",
        "x." + "p" * 260,
        "..",
        "con.png",
        "a\0b.png",
        "\n.png",
        "中" * 90,
    ):
        reply = visit.http.post("gradio_api/upload", files={"files": (name, b"this is no picture")})
        if reply.status_code == 200:
            (path,) = reply.json()
            told = visit.call({"path": path, "orig_name": name})
            visit.queue(visit.event("annotated"), {"path": path, "orig_name": name})
            told += "".join(visit.warnings)
            assert "is not a picture" in told
        else:
            told = reply.text
        assert "/" not in told.replace("event: ", ""), told
    assert "Traceback" not in log()
