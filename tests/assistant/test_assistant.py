"""`MoAI` on a tiny random model, with text recognition as its only real expert."""

import functools
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from moai.assistant import MoAI
from moai.inference import generate
from moai.streaming import PieceStreamer, spoken
from perception import Perception
from tests.conftest import example_image

QUESTION = "What does the sign say?"
LONG = {"max_new_tokens": 12}


@pytest.fixture(scope="module")
def assistant(model_folder):
    given = Perception(experts="ocr,seg", segmentation=lambda picture, scene: None)
    assistant = MoAI.from_pretrained(model_folder, device="cpu", perception=given)
    assistant.model.generation_config.eos_token_id = None  # a random model must not stop at once
    return assistant


@pytest.fixture(scope="module")
def pictures():
    return [example_image(name) for name in ("street", "bed", "table")]


def assert_same_gates(answer, expected):
    """Gates up to rounding: a thread of its own may sum in another order."""
    assert len(answer.gates) == len(expected.gates) > 0
    for given, wanted in zip(answer.gates, expected.gates, strict=True):
        assert given.image == pytest.approx(wanted.image, abs=1e-5)
        assert given.aux_map == pytest.approx(wanted.aux_map, abs=1e-5)


def test_an_answer_has_its_evidence(assistant, pictures):
    answer = assistant.ask(pictures[0], QUESTION, **LONG)
    assert answer.text
    assert [gate.layer for gate in answer.gates] == [1, 3]
    for gate in answer.gates:
        assert list(gate.image) == ["aux", "language", "self"] and list(gate.language) == ["aux", "image", "self"]
        assert sum(gate.image.values()) == pytest.approx(1, abs=1e-4)
        assert sum(gate.language.values()) == pytest.approx(1, abs=1e-4)
        assert len(gate.aux_map) == 64
        assert sum(gate.aux_map) / 64 == pytest.approx(gate.image["aux"], abs=1e-4)
    stages = ("load", "perception", "encode", "generate")
    assert set(answer.timings) == {*stages, "total"}
    assert answer.timings["total"] == pytest.approx(sum(answer.timings[name] for name in stages))
    assert json.loads(json.dumps(answer.to_dict()))["text"] == answer.text
    assert (answer.scene.width, answer.scene.height) == pictures[0].shape[1::-1]


def test_a_batch_gives_the_single_answers(assistant, pictures):
    order, questions = [0, 1, 2, 0], [QUESTION, "Is there a dog?", "Why, and how many are there?", "Where?"]
    batch = assistant.ask_batch([pictures[index] for index in order], questions, **LONG)
    for index, question, together in zip(order, questions, batch, strict=True):
        alone = assistant.ask(pictures[index], question, **LONG)
        assert together.text == alone.text
        assert together.scene == alone.scene or together.scene.text_lines == alone.scene.text_lines
        for one, other in zip(together.gates, alone.gates, strict=True):
            assert one.image == pytest.approx(other.image, abs=1e-4)
            assert one.language == pytest.approx(other.language, abs=1e-4)
            assert one.aux_map == pytest.approx(other.aux_map, abs=1e-4)
    assert assistant.ask_batch([], []) == []


def test_a_batch_is_looked_at_in_one_pass(assistant, pictures, monkeypatch):
    seen = []
    look = assistant.perception.batch
    monkeypatch.setattr(
        assistant.perception, "batch", lambda images, **kwargs: seen.append(len(images)) or look(images, **kwargs)
    )
    encoded = assistant.encode(pictures[2])
    order = [pictures[0], encoded, pictures[1], pictures[0]]
    answers = assistant.ask_batch(order, [QUESTION] * 4, **LONG)
    assert seen == [1, 2]
    assert answers[0].text == answers[3].text and answers[1].scene == encoded.scene


def test_memory_that_runs_out_is_one_sentence(assistant, pictures, monkeypatch):
    encoded = assistant.encode(pictures[0])

    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    with monkeypatch.context() as broken:
        broken.setattr(assistant.model, "generate", full)
        with pytest.raises(ValueError, match="2 questions did not fit into the memory of cpu; ask for less at a time"):
            assistant.ask_batch([encoded] * 2, [QUESTION] * 2)
        with pytest.raises(ValueError, match="1 question did not fit"):
            list(assistant.stream(encoded, QUESTION))
        broken.setattr(assistant.model, "encode", full)
        with pytest.raises(ValueError, match="1 picture did not fit"):
            assistant.encode(pictures[1])
    assert assistant.ask(encoded, QUESTION, **LONG).text


def test_the_fast_path_answers_and_streams_alike(assistant, pictures, monkeypatch):
    encoded = assistant.encode(pictures[0])
    plain = assistant.ask(encoded, QUESTION, **LONG)
    monkeypatch.setattr("moai.assistant.generate", functools.partial(generate, fast=True))
    fast = assistant.ask(encoded, QUESTION, **LONG)
    assert fast.text == plain.text
    for one, other in zip(fast.gates, plain.gates, strict=True):
        assert one.image == pytest.approx(other.image, abs=1e-4)
        assert one.language == pytest.approx(other.language, abs=1e-4)
    stream = assistant.stream(encoded, QUESTION, **LONG)
    pieces = list(stream)
    assert "".join(pieces) == plain.text and len(pieces) > 3
    assert assistant.ask(encoded, QUESTION, temperature=2.0, top_p=0.9, **LONG).text
    stopped = assistant.stream(encoded, QUESTION, max_new_tokens=150)
    next(iter(stopped))
    stopped.stop()
    assert len(stopped.answer.text) < len(assistant.ask(encoded, QUESTION, max_new_tokens=150).text)


def test_chat(assistant, pictures):
    first = {"role": "user", "content": QUESTION}
    assert assistant.chat(pictures[0], [first], **LONG).text == assistant.ask(pictures[0], QUESTION, **LONG).text
    more = [first, {"role": "assistant", "content": "OPEN"}, {"role": "user", "content": "Where?"}]
    answer = assistant.chat(pictures[0], more, **LONG)
    assert answer.text != assistant.ask(pictures[0], "Where?", **LONG).text
    stream = assistant.stream(pictures[0], more, **LONG)
    assert "".join(stream) == answer.text


def test_a_stream_says_the_answer(assistant, pictures):
    stream = assistant.stream(pictures[0], QUESTION, **LONG)
    pieces = list(stream)
    answer = assistant.ask(pictures[0], QUESTION, **LONG)
    assert "".join(pieces) == answer.text == stream.answer.text
    assert len(pieces) > 3 and all(pieces)
    assert_same_gates(stream.answer, answer)
    assert list(stream) == []  # a second loop ends


def test_a_stream_can_be_stopped(assistant, pictures):
    whole = assistant.ask(pictures[0], QUESTION, max_new_tokens=150).text
    stream = assistant.stream(pictures[0], QUESTION, max_new_tokens=150)
    said = ""
    for piece in stream:
        said += piece
        if len(said) > 5:
            break
    stream.stop()
    assert whole.startswith(said) and said
    assert whole.startswith(stream.answer.text) and len(stream.answer.text) < len(whole)
    assert assistant.ask(pictures[0], QUESTION, **LONG).text  # the lock is free again


def test_an_error_while_streaming_is_raised_in_the_loop(assistant, pictures, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(assistant.model, "generate", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(assistant.stream(pictures[0], QUESTION))


@pytest.mark.parametrize("text", ["A dog[U more", " A [dog] [", "é 猫 [U", "[U", "  two  words  ", "x [ [U"])
def test_streams_hold_back_the_stop_text_and_halves_of_characters(tokenizer, text):
    pieces = []
    streamer = PieceStreamer(tokenizer, pieces.append, "[U")
    streamer.put(torch.tensor([1, 2]))
    for token in tokenizer.encode(text, add_special_tokens=False):
        streamer.put(torch.tensor([token]))
    streamer.end()
    assert "".join(pieces) == spoken(text, "[U")


def test_a_picture_is_encoded_once(assistant, pictures, monkeypatch):
    encoded = assistant.encode(pictures[0])
    plain = assistant.ask(pictures[0], QUESTION, moai=False, **LONG)
    whole = assistant.ask(pictures[0], QUESTION, **LONG)
    monkeypatch.setattr(assistant.model, "image_features", None)
    for _ in range(2):
        again = assistant.ask(encoded, QUESTION, **LONG)
        assert again.text == whole.text and again.scene == encoded.scene
    asked = assistant.ask_batch([encoded, encoded], [QUESTION, "Why?"], **LONG)
    assert asked[0].text == whole.text
    bare = assistant.ask(encoded, QUESTION, moai=False, **LONG)
    assert bare.text == plain.text and bare.gates == [] and bare.scene.text_lines == []
    with pytest.raises(ValueError, match="encoded with segmentation, ocr; encode it again"):
        assistant.ask(encoded, QUESTION, experts="ocr")
    without = assistant.ask(encoded, QUESTION, experts=["ocr", "seg"], **LONG)
    assert without.text == whole.text


def test_encoded_with_and_without_experts_do_not_mix(assistant, pictures):
    both = [assistant.encode(pictures[0]), assistant.encode(pictures[0], moai=False)]
    with pytest.raises(ValueError, match="some pictures were encoded with experts and some without"):
        assistant.ask_batch(both, [QUESTION] * 2)


def test_the_plain_backbone(assistant, pictures, monkeypatch):
    monkeypatch.setattr(assistant, "perception", None)  # no expert runs
    answer = assistant.ask(pictures[0], QUESTION, moai=False, experts=(), **LONG)
    assert answer.text and answer.gates == [] and answer.scene.text_lines == []


def test_some_experts(assistant, pictures):
    whole = assistant.ask(pictures[0], QUESTION, experts="ocr", **LONG)
    assert max(line.score for line in whole.scene.text_lines) > 0.9
    assert set(whole.scene.timings) == {"ocr", "total"}
    silent = assistant.ask(pictures[0], QUESTION, experts=(), **LONG)
    assert not silent.scene.text_lines and silent.gates
    # The first mixer's gates come before what the experts say has been mixed in.
    assert silent.gates[1].image != whole.gates[1].image


def test_threads_do_not_mix(assistant, pictures):
    expected = [assistant.ask(picture, QUESTION, **LONG) for picture in pictures]
    # Of a random model some answers may be the same; what it listened to is not.
    assert len({str(answer.gates) for answer in expected}) == 3
    start = threading.Barrier(6)

    def one(index: int):
        start.wait()
        if index == 5:
            stream = assistant.stream(pictures[2], QUESTION, **LONG)
            list(stream)
            return stream.answer
        return assistant.ask(pictures[index % 3], QUESTION, moai=index != 4, **LONG)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(one, range(6)))
    for index, answer in enumerate(answers):
        if index == 4:
            assert answer.gates == []
            continue
        assert answer.text == expected[index % 3].text
        assert_same_gates(answer, expected[index % 3])


def test_eight_threads_get_the_answers_of_one(assistant, pictures):
    encoded = [assistant.encode(picture) for picture in pictures]
    asked = [(encoded[(thread + turn) % 3], f"{QUESTION} {thread} {turn}") for thread in range(8) for turn in range(5)]
    expected = [assistant.ask(*one, max_new_tokens=3) for one in asked]
    start = threading.Barrier(8)

    def several(thread: int):
        start.wait()
        return [assistant.ask(*one, max_new_tokens=3) for one in asked[thread * 5 : thread * 5 + 5]]

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for given in pool.map(several, range(8)) for answer in given]
    for answer, wanted in zip(answers, expected, strict=True):
        assert answer.text == wanted.text
        assert_same_gates(answer, wanted)


def test_sampling(assistant, pictures):
    torch.manual_seed(0)
    texts = {assistant.ask(pictures[0], QUESTION, temperature=2.0, top_p=0.9, **LONG).text for _ in range(4)}
    assert len(texts) > 1


def test_bad_questions(assistant, pictures):
    picture = pictures[0]
    for question in ("", "  \n"):
        with pytest.raises(ValueError, match="the question is empty"):
            assistant.ask(picture, question)
        with pytest.raises(ValueError, match="the question is empty"):
            assistant.stream(picture, question)
    with pytest.raises(ValueError, match="each message needs a role and a content"):
        assistant.ask(picture, 7)
    with pytest.raises(ValueError, match="must end with a message of the user"):
        assistant.chat(picture, [])
    with pytest.raises(ValueError, match=r"is \d+ tokens long with its picture; this model takes 320"):
        assistant.ask(picture, "why " * 400)
    with pytest.raises(ValueError, match="got 2 pictures but 1 questions"):
        assistant.ask_batch([picture] * 2, [QUESTION])
    with pytest.raises(ValueError, match="there is no file"):
        assistant.ask("/no/such/picture.png", QUESTION)
    with pytest.raises(ValueError, match="a picture cannot be made of"):
        assistant.ask(3, QUESTION)
    with pytest.raises(ValueError, match="detection was not loaded; loaded experts are segmentation, ocr"):
        assistant.ask(picture, QUESTION, experts="det")
    with pytest.raises(ValueError, match="unknown expert 'depth'"):
        assistant.perceive(picture, experts="depth")


@pytest.mark.parametrize("messages", [None, 7, 0.5, "Why?", b"Why?", {"role": "user", "content": "Why?"}, {1}])
def test_what_is_no_conversation_is_one_sentence(assistant, pictures, messages):
    with pytest.raises(ValueError, match="a conversation must be a list of messages, each with a role and a content"):
        assistant.chat(pictures[0], messages)
    if not isinstance(messages, str):
        with pytest.raises(ValueError, match="a conversation must be a list of messages"):
            assistant.stream(pictures[0], messages)
    with pytest.raises(ValueError, match="each message needs a role and a content, both text"):
        assistant.chat(pictures[0], [messages and 7])
    with pytest.raises(ValueError, match="each message needs a role and a content, both text"):
        assistant.ask(pictures[0], None)


def test_half_of_a_character_is_answered(assistant, pictures):
    lone, replaced = "What is \ud83d here?", "What is \ufffd here?"
    expected = assistant.ask(pictures[0], replaced, **LONG).text
    assert assistant.ask(pictures[0], lone, **LONG).text == expected
    assert assistant.ask_batch([pictures[0]], [lone], **LONG)[0].text == expected
    stream = assistant.stream(pictures[0], lone, **LONG)
    assert "".join(stream) == expected
    said = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": lone},
        {"role": "user", "content": "?"},
    ]
    assert assistant.chat(pictures[0], said, **LONG).text
    encode = assistant.processor.encode_text
    assert encode("a \ud83d\ude00 b") == encode("a \U0001f600 b") != encode("a \ufffd b")
    assert encode(lone) == encode(replaced)


def error_of(name, **settings) -> str:
    with pytest.raises(ValueError) as caught:
        MoAI.from_pretrained(name, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_models_that_cannot_be_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in (tmp_path / "nowhere", "nobody/nothing", tmp_path):
        message = error_of(name)
        assert message.startswith(f"no MoAI model could be loaded from {str(name)!r}: it must be")
    other = tmp_path / "other"
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    LlamaForCausalLM(LlamaConfig(vocab_size=8, **sizes)).save_pretrained(other)
    assert error_of(other).endswith("it is a llama model")


def test_faults_of_ours_are_not_hidden(model_folder, monkeypatch):
    def broken(*args, **kwargs):
        raise AttributeError("a fault in the code")

    monkeypatch.setattr("moai.models.stored.reading.AutoProcessor.from_pretrained", broken)
    with pytest.raises(ValueError, match=r"cannot be used: .* \(AttributeError\)") as caught:
        MoAI.from_pretrained(model_folder)
    assert isinstance(caught.value.__cause__.__cause__, AttributeError)


def test_bad_settings(model_folder):
    assert "unknown expert 'depth'" in error_of(model_folder, experts="seg,depth")
    for device in ("nonsense", "meta", "", []):
        assert f"device {device!r} cannot be used here" in error_of(model_folder, device=device)
    if not torch.cuda.is_available():
        assert "device 'cuda' cannot be used here" in error_of(model_folder, device="cuda")
