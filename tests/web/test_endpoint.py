"""The named endpoint `/ask`, and what the server gives away."""

import json
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LISTED = json.loads((EXAMPLES / "examples.json").read_text())


@pytest.fixture(scope="module")
def client(server):
    return Client(server, verbose=False)


def test_ask_answers_a_question_about_an_uploaded_picture(client):
    answer = client.predict(handle_file(EXAMPLES / "street.png"), "What color is the sign?", api_name="/ask")
    assert answer == "purple"


def test_the_call_in_the_readme_works(server, monkeypatch, capsys):
    readme = (EXAMPLES.parent / "README.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    (example,) = [code for code in examples if "gradio_client" in code]
    monkeypatch.chdir(EXAMPLES.parent)
    exec(compile(example.replace("http://127.0.0.1:7860", server), "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_ask_is_the_only_named_endpoint(client):
    described = client.view_api(return_format="dict", print_info=False)
    assert list(described["named_endpoints"]) == ["/ask"]


def test_mistakes_get_a_sentence_and_no_traceback_in_the_log(client, tmp_path, log):
    broken = tmp_path / "broken.png"
    broken.write_bytes((EXAMPLES / "street.png").read_bytes()[:3000])
    picture = handle_file(EXAMPLES / "street.png")
    for given, question, told in (
        (handle_file(broken), "What is this?", "damaged"),
        (picture, "  ", "Type a question"),
        (picture, "x" * 501, "up to 500"),
        (None, "What is this?", "Choose a picture"),
    ):
        with pytest.raises(AppError, match=told):
            client.predict(given, question, api_name="/ask")
    assert "Traceback" not in log()


def test_half_of_a_character_in_a_question_gets_a_sentence_everywhere(visit, log):
    street = {"path": str(EXAMPLES / "street.png")}
    question, told = "What is \ud83d?", "half of a character"
    assert told in visit.call(street, question)
    assert visit.submit(question)["data"] == [""]
    success, answer = visit.queue(visit.event("chat"), street)
    assert success and answer["data"][:2] == [[], "What is ??"], "nothing is asked, and the question is given back"
    visit.queue(visit.event("compared"), street, again=question)
    assert sum(told in warning for warning in visit.warnings) == 2
    assert "Traceback" not in log()


def test_only_the_pages_own_files_are_served(server):
    for path in (EXAMPLES.parent / "app.py", EXAMPLES.parent / "pyproject.toml", Path("/etc/passwd")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{server}gradio_api/file={path}")
        assert caught.value.code in (403, 404)


def test_twenty_questions_from_four_people_at_once_are_all_answered_and_none_is_mixed_up(server):
    wrong, answered = [], []

    def person(number: int) -> None:
        own = Client(server, verbose=False)
        for turn in range(5):
            example = LISTED[(number + turn) % len(LISTED)]
            said = own.predict(handle_file(EXAMPLES / example["picture"]), example["question"], api_name="/ask")
            answered.append(said)
            if said != example["answer"]:
                wrong.append((number, example["picture"], said))

    people = [threading.Thread(target=person, args=(number,)) for number in range(4)]
    for one in people:
        one.start()
    for one in people:
        one.join(120)
    assert len(answered) == 20 and not wrong
