"""`moai serve --replicas`: several models behind one port, and what is told when they cannot start."""

import logging
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moai import MoAI
from moai.cli import main
from moai.serving.cluster import ray_package
from moai.serving.replicas import Replicas, deployed
from tests.serving.conftest import EXAMPLES, asking
from tests.serving.on_ray import EXPERTS, processes_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]
QUESTIONS = ("Why?", "Where is it?")


@pytest.fixture(autouse=True)
def loud_again():
    """The command line quiets libraries; the other tests want to hear them."""
    before = logging.root.manager.disable
    yield
    logging.disable(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory, model_folder):
    preset = tmp_path_factory.mktemp("replicas") / "experts.yaml"
    preset.write_text(EXPERTS)
    return Replicas(str(model_folder), experts_from=str(preset), least=2)


def test_replicas_answer_as_one_and_outlive_one_of_them(cluster, made):
    openai = pytest.importorskip("openai")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assistant = MoAI.from_pretrained(made.model, experts_from=made.experts_from, device="cpu")
    told = {one: assistant.ask(EXAMPLES / "street.png", one, max_new_tokens=8).text for one in QUESTIONS}
    with (
        deployed(ray_package(""), made, "127.0.0.1", port),
        openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", timeout=60) as client,
    ):

        def answer(question: str) -> tuple[str, str]:
            messages = asking(question, "street")
            reply = client.chat.completions.create(
                model=Path(made.model).name, messages=messages, max_tokens=8, stream=True
            )
            words = (one.choices[0].delta.content or "" for one in reply if one.choices)
            return question, "".join(words)

        with ThreadPoolExecutor(4) as pool:
            assert all(told[question] == text for question, text in pool.map(answer, QUESTIONS * 4))
        first, *_ = processes_of(cluster.head_node, "ServeReplica")
        os.kill(first.pid, signal.SIGKILL)
        assert answer(QUESTIONS[0])[1] == told[QUESTIONS[0]]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--address", "auto"), "--max-replicas and --address go with --replicas"),
        (("--replicas", "2", "--max-replicas", "1"), "--max-replicas is 1, fewer than the 2 of --replicas"),
        (("--replicas", "2", "--host", "nowhere.invalid"), "nowhere.invalid"),
    ],
)
def test_what_is_wrong_is_one_sentence(capsys, words, sentence):
    assert main(["serve", *words]) == 2
    err = capsys.readouterr().err
    assert sentence in err and len(err.strip().splitlines()) == 1
