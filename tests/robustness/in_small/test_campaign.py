"""A little of the campaign that `python -m tests.robustness` runs at length: nothing lost, mixed up or left behind."""

import pytest

from moai import MoAI
from perception import Perception
from tests.conftest import example_image
from tests.robustness import sent
from tests.robustness.asking import Asker
from tests.robustness.crowd import crowd
from tests.robustness.disk import disk
from tests.robustness.experts import experts
from tests.robustness.folders import folders
from tests.robustness.memory import memory
from tests.robustness.parameters import parameters
from tests.robustness.pictures import pictures
from tests.robustness.started import started

pytestmark = pytest.mark.slow
SEED = 1


@pytest.fixture(scope="module")
def server():
    """Page and server on one port."""
    with started(["-m", "moai", "serve", "--model", "moai-nano"]) as server:
        yield server


@pytest.fixture(scope="module")
def assistant(model_folder):
    """A tiny model without experts."""
    return MoAI.from_pretrained(model_folder, device="cpu", perception=Perception([]))


def fine(tally, accepted=1, refused=1):
    """Nothing went wrong, and at least so many were accepted and refused: the campaign tried both."""
    assert tally.clean, tally.faults
    assert tally.tried == tally.accepted + tally.refused
    assert tally.accepted >= accepted and tally.refused >= refused


def test_malformed_pictures_at_load_image():
    fine(sent.loaded(pictures(150, SEED), ""), 30, 60)


def test_malformed_pictures_at_an_assistant(assistant):
    fine(sent.asked(assistant, pictures(30, SEED), ""), 5, 10)


def test_malformed_pictures_at_the_page(server):
    fine(sent.paged(server, pictures(20, SEED), ""), 3, 8)


def test_malformed_pictures_at_the_server(server):
    fine(sent.posted(server, pictures(20, SEED), ""), 3, 8)


def test_odd_questions_and_parameters(assistant):
    fine(parameters(assistant, example_image("street", 0.1), SEED, most=250), 30, 100)


def test_broken_and_malicious_model_folders():
    fine(folders(20, SEED), 3, 3)


def test_experts_that_misbehave():
    fine(experts(40, SEED, time_limit=0.5), 40, 0)


def test_a_crowd_with_clients_that_hang_up(server):
    fine(crowd(server, 30, 8, SEED), 20)


def test_commands_where_nothing_can_be_written():
    fine(disk(SEED, serving=False, names=["ask, read-only home", "perceive --draw"]))


def test_memory_is_counted(server):
    tally = memory(server, 8, SEED)
    assert (tally.accepted, tally.lost) == (8, 0)


def test_requests_that_no_page_makes_get_a_sentence_beside_the_server_too(server):
    asker = Asker(server.address)
    reply = asker.http.post("gradio_api/run/predict", json={"fn_index": 999, "data": []})
    assert reply.status_code == 400 and "no request that the page makes" in reply.text
    assert asker.http.get("health", headers={"host": "evil.example"}).status_code == 400
    assert "Traceback" not in server.log
