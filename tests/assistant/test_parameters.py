"""What an answer can be asked for: settings of decoding and messages, in every form that people send."""

from fractions import Fraction

import numpy as np
import pytest

from moai.assistant import Decoding, MoAI
from perception import Perception
from tests.conftest import example_image

QUESTION = "What does the sign say?"
LONG = {"max_new_tokens": 12}


@pytest.fixture(scope="module")
def assistant(model_folder):
    given = Perception(experts="seg", segmentation=lambda picture, scene: None)
    assistant = MoAI.from_pretrained(model_folder, device="cpu", perception=given)
    assistant.model.generation_config.eos_token_id = None  # a random model must not stop at once
    return assistant


@pytest.fixture(scope="module")
def pictures(assistant):
    return [assistant.encode(example_image(name)) for name in ("street", "bed")]


@pytest.mark.parametrize(
    ("decoding", "sentence"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0; allowed is 1 to 4096"),
        ({"temperature": -1}, "temperature is -1; allowed is 0 "),
        ({"top_p": 0}, "top_p is 0; allowed is above 0"),
        ({"max_new_tokens": "8"}, "max_new_tokens is '8'; allowed is 1 to 4096, a whole number"),
        ({"max_new_tokens": 2.5}, "max_new_tokens is 2.5; allowed is 1 to 4096, a whole number"),
        ({"temperature": "warm"}, "temperature is .warm.; allowed is 0 "),
        ({"top_p": float("nan")}, "top_p is nan; allowed is above 0"),
        ({"top_p": [1]}, r"top_p is \[1\]; allowed is above 0"),
        ({"top_p": True}, "top_p is True; allowed is above 0"),
        ({"max_new_tokens": True}, "max_new_tokens is True; allowed is 1 to 4096"),
        ({"temperature": 1j}, "temperature is 1j; allowed is 0 "),
        ({"heat": 1}, "no setting 'heat' of decoding; allowed are max_new_tokens, temperature, top_p"),
    ],
)
def test_bad_decoding(assistant, pictures, decoding, sentence):
    with pytest.raises(ValueError, match=sentence):
        assistant.ask(pictures[0], QUESTION, **decoding)


def test_numbers_of_every_kind_are_taken(assistant, pictures):
    greedy = assistant.ask(pictures[0], QUESTION, max_new_tokens=3).text
    for cold in (0, 1e-40, 5e-324, np.float32(1e-5), Fraction(1, 10**9)):
        assert assistant.ask(pictures[0], QUESTION, temperature=cold, max_new_tokens=3).text == greedy
    for hot, share in (
        (10, 1),
        (np.int64(3), np.float16(0.5)),
        (1e-4, 1e-40),
        (10, 5e-324),
        (Fraction(1, 3), True + 0),
    ):
        assert assistant.ask(pictures[0], QUESTION, temperature=hot, top_p=share, max_new_tokens=np.int32(2)).text


def test_an_answer_ends_where_the_models_positions_do(assistant, pictures):
    limit = assistant.model.config.text_config.max_position_embeddings
    length, longer = (len(assistant.processor.question_ids(QUESTION + words)) for words in ("", " a"))
    before = len(assistant.processor.prefix_ids(with_image=True)) + length
    words = " a" * ((limit - before - 6) // (longer - length))
    room = limit - before - (longer - length) * (len(words) // 2)
    alone = assistant.ask(pictures[0], QUESTION + words, max_new_tokens=4096).text
    assert alone == assistant.ask(pictures[0], QUESTION + words, max_new_tokens=room).text
    both = assistant.ask_batch(pictures[:2], [QUESTION + words, QUESTION], max_new_tokens=room + 9)
    assert both[0].text == alone
    assert both[1].text == assistant.ask(pictures[1], QUESTION, max_new_tokens=room + 9).text != ""


def test_a_system_message_stands_before_the_first_question(assistant, pictures):
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "No."}]
    turns.append({"role": "user", "content": "Why?"})
    system = {"role": "system", "content": "Be brief."}
    told = [{"role": "user", "content": f"Be brief.\n{QUESTION}"}, *turns[1:]]
    answer = assistant.chat(pictures[0], [system, *turns], **LONG).text
    assert answer == assistant.chat(pictures[0], told, **LONG).text
    assert "".join(assistant.stream(pictures[0], [system, *turns], **LONG)) == answer
    empty = {"role": "system", "content": " "}
    plain = assistant.chat(pictures[0], turns, **LONG).text
    assert assistant.chat(pictures[0], [empty, *turns], **LONG).text == plain != answer


def test_half_of_a_character_ends_no_answer():
    assert Decoding(stop="\ud83d").stop == ("\ufffd",)
