"""Stop means stop, seeds repeat, and what an answer took is counted."""

import gc

import pytest

from moai.assistant import MoAI
from perception import Perception
from tests.conftest import example_image

QUESTION = "What does the sign say?"


@pytest.fixture(scope="module")
def assistant(model_folder):
    given = Perception(experts="seg", segmentation=lambda picture, scene: None)
    assistant = MoAI.from_pretrained(model_folder, device="cpu", perception=given)
    assistant.model.generation_config.eos_token_id = None  # a random model must not stop at once
    return assistant


@pytest.fixture(scope="module")
def seen(assistant):
    return assistant.encode(example_image("street", 0.25))


def test_a_stream_that_nobody_holds_ends(assistant, seen):
    stream = assistant.stream(seen, QUESTION, max_new_tokens=200)
    next(iter(stream._pieces.get, None))
    thread, asked = stream._thread, stream._stop
    del stream
    gc.collect()
    assert asked.is_set()
    thread.join(60)
    assert not thread.is_alive()


def test_streams_that_wait_for_their_turn_stop_without_it(assistant, seen):
    with assistant._lock:  # somebody else's answer takes long
        streams = [assistant.stream(seen, QUESTION) for _ in range(5)]
        for stream in streams:
            stream.stop()  # would wait for ever if it waited for its turn
        assert [stream.answer.text for stream in streams] == [""] * 5
        assert [list(stream) for stream in streams] == [[]] * 5
    assert assistant.ask(seen, QUESTION, max_new_tokens=3).text


def test_seeds_repeat_and_leave_other_draws_alone(assistant, seen):
    import torch

    def draw(seed):
        return assistant.ask(seen, QUESTION, temperature=1.5, seed=seed, max_new_tokens=10).text

    torch.manual_seed(3)
    first = torch.rand(1)
    torch.manual_seed(3)
    assert draw(1) == draw(1) != draw(2)
    assert torch.rand(1) == first


def test_what_an_answer_took(assistant, seen):
    prompt = assistant.prompt_ids([{"role": "user", "content": QUESTION}])
    usage = assistant.ask(seen, QUESTION, max_new_tokens=7).usage
    assert (usage.prompt_tokens, usage.new_tokens, usage.cut) == (len(prompt), 7, True)
    stopped = assistant.stream(seen, QUESTION, max_new_tokens=150)
    next(iter(stopped))
    assert not stopped.answer.usage.cut and stopped.answer.usage.new_tokens < 150


def test_without_a_picture_the_language_model_answers(assistant):
    answer = assistant.chat(None, [{"role": "user", "content": "A dog"}], max_new_tokens=4)
    assert answer.text and answer.gates == [] and answer.scene.width == 0
    assert answer.usage.prompt_tokens == len(assistant.prompt_ids([{"role": "user", "content": "A dog"}], False))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"stop": [""]}, "stop is"),
        ({"stop": 3}, "stop is 3"),
    ],
)
def test_settings_that_are_none(assistant, seen, setting, told):
    with pytest.raises(ValueError, match=told):
        assistant.ask(seen, QUESTION, **setting)


def test_several_stop_texts(assistant, seen):
    whole = assistant.ask(seen, QUESTION, max_new_tokens=20).text
    stop = whole[len(whole) // 2 :][:3]
    answer = assistant.ask(seen, QUESTION, max_new_tokens=20, stop=["no such text", stop])
    assert answer.text == whole.split(stop)[0].strip()
    assert "".join(assistant.stream(seen, QUESTION, max_new_tokens=20, stop=[stop])) == answer.text
