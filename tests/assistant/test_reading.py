"""Dates, amounts and codes that nobody read give way to what was read."""

import threading

import pytest
import torch

from moai.answers import Answer, Decoding
from moai.assistant import MoAI
from moai.inference.likelihood import target_losses
from moai.serving.metrics import Metrics
from moai.serving.together.assistant import Together
from moai.settling import Held, settle, settled
from moai.settling.reading import kind_of, readings
from perception.scene import Scene, TextLine

LINES = (
    "ALPHA STORE",
    "NO. 12, MAIN STREET",
    "Date: 25/12/2018 8:13 PM",
    "Doc 04 JAN 2017",
    "RM 1,204.50",
    "Total: RM19.00",
)


def scene(*lines: str, score: float = 0.95) -> Scene:
    return Scene(100, 100, text_lines=[TextLine(one, score) for one in lines])


@pytest.mark.parametrize(
    "text, kind",
    [
        ("25/12/2018", "date"), ("2018-12-25", "date"), ("4.1.17", "date"), ("04 JAN 2017", "date"),
        ("March 3, 2020", "date"),
        ("19.00", "amount"), ("RM 1,204.50", "amount"), ("$9.90.", "amount"), ("RK457AS", "code"), ("A1B2", "code"),
        ("3", None), ("300", None), ("2", None), ("ALPHA STORE", None), ("Two dogs on a sofa.", None), ("", None),
        ("25/12-2018", None), ("19.0", None), ("a1", None), ("It is 19.00", None), ("rk457as", None),
    ],
)  # fmt: skip
def test_kinds(text, kind):
    assert kind_of(text) == kind


def test_what_was_read_of_the_kind_of_an_answer():
    read = scene(*LINES, "6PGM-335")
    assert readings("05/08/2017", read) == ["25/12/2018", "04 JAN 2017"]
    assert readings("20.00", read) == ["1,204.50", "19.00"]
    assert readings("RK457AS", read) == ["6PGM335"]
    # Read itself, of no kind, or nothing to choose from.
    for answer in ("25/12/2018", "25-12-2018", "19.00", "RM19.00", "6PGM335", "Beta Store", "2", "1204"):
        assert readings(answer, read) == []
    assert readings("05/08/2017", scene("ALPHA STORE")) == readings("05/08/2017", scene()) == []
    assert readings("05/08/2017", scene(*LINES, score=0.5)) == []


def test_the_likeliest_takes_its_place():
    read, asked = scene(*LINES), []

    def losses(texts):
        asked.append(list(texts))
        return [len(text) for text in texts]

    assert settle("When?", "05/08/2017", read, losses) == "25/12/2018"
    assert settle("When?", "04 FEB 2011", read, lambda texts: [-len(text) for text in texts]) == "04 JAN 2017"
    assert settle("What?", "A dog", read, losses) == "A dog" and asked == [["25/12/2018", "04 JAN 2017"]]


KINDS = [
    "05/08/2017", "04 JAN 2017", "March 3, 2020", "sep 3 2020", "RM 1,204.50", "usd 3.00", "$9.90", "-3.50", "€12.00",
    "RK457AS", "ABCDEFGHIJK1", "6PGM335",
]  # fmt: skip
OTHERS = [
    "Two dogs on a sofa",
    "Yes",
    "a long answer that says what is in the picture",
    "GALLERY IN PARIS",
    "red",
]


@pytest.mark.parametrize("text", KINDS + OTHERS)
def test_a_stream_waits_as_long_as_an_answer_may_change(text):
    assert (kind_of(text) is not None) == (text in KINDS)
    for read in (scene(*LINES), scene()):
        pieces: list[str] = []
        held = Held(pieces.append, "When?", read)
        for letter in text:
            held(letter)
        early = "".join(pieces)
        assert early == ("" if text in KINDS and read.text_lines else text)
        held.end("25/12/2018" if not early else text)
        assert "".join(pieces) == (early or "25/12/2018")


class Writes(MoAI):
    """Writes the same whatever it is asked."""

    text = "05/08/2017"

    def _answer(self, encoded, prompts, settings, streamer=None, stop=None):
        if streamer is not None:
            streamer.put(torch.tensor([0]))
            for token in self.processor.tokenizer(self.text)["input_ids"]:
                streamer.put(torch.tensor([token]))
            streamer.end()
        return [Answer(self.text, one.scene, timings={"generate": 1.0, "total": 1.0}) for one in encoded]


@pytest.fixture(scope="module")
def writer():
    nano = MoAI.from_pretrained("moai-nano", experts="ocr", device="cpu")
    return Writes(nano.model, nano.processor, nano.perception)


@pytest.fixture(scope="module")
def picture(writer):
    encoded = writer.encode(torch.full((48, 48, 3), 255, dtype=torch.uint8).numpy())
    encoded.scene.text_lines = list(scene(*LINES).text_lines)
    return encoded


def test_every_way_of_asking_gives_what_was_read(writer, picture):
    question = "What is the date?"
    prompt = writer.prompt_ids([{"role": "user", "content": question}])
    processor = writer.processor
    alone = {
        text: target_losses(
            writer.model, [prompt], [processor.encode_text(processor.style.answer.format(text))], 0, picture.inputs
        )[0][0]
        for text in ("25/12/2018", "04 JAN 2017")
    }
    best = min(alone, key=alone.__getitem__)
    answer = writer.ask(picture, question)
    assert (answer.text, answer.instead_of) == (best, "05/08/2017") and answer.to_dict()["instead_of"] == "05/08/2017"
    assert answer.timings["total"] == pytest.approx(1.0 + answer.timings["settling"])
    assert [one.text for one in writer.ask_batch([picture, picture], [question] * 2)] == [best] * 2
    stream = writer.stream(picture, question)
    assert "".join(stream) == best == stream.answer.text
    backbone = writer.ask(picture, question, moai=False)
    assert (backbone.text, backbone.instead_of) == ("05/08/2017", None) and "instead_of" not in backbone.to_dict()


class WritesTogether(Together):
    """The same behind a server."""

    def _written(self, rows):
        return [Writes._answer(self, [row.picture], [row.prompt], row.settings, row.streamer)[0] for row in rows]

    text = Writes.text


@pytest.mark.parametrize("settings", [Decoding(), Decoding(temperature=0.5, seed=1)])
def test_a_server_says_what_was_read(writer, picture, settings):
    server = WritesTogether(writer, 2, Metrics())
    messages, stop = [{"role": "user", "content": "What is the date?"}], threading.Event()
    said: list[tuple[int, str]] = []
    prompt = writer.prompt_ids(messages)
    answers = server.say(picture, messages, prompt, settings, 2, lambda *piece: said.append(piece), stop)
    best = writer.ask(picture, messages[0]["content"]).text
    assert [one.text for one in answers] == [best] * 2 and sorted(said) == [(0, best), (1, best)]


def test_who_said_stop_gets_what_was_written(writer, picture):
    stop = threading.Event()
    stop.set()
    prompt = writer.prompt_ids([{"role": "user", "content": "What is the date?"}])
    written = Answer("05/08/2017", picture.scene)
    assert settled(writer, picture, "What is the date?", prompt, written, stop) is written


def test_without_memory_to_compare_an_answer_stays_as_it_was_written(writer, picture, monkeypatch):
    def full(*given):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("moai.settling.answer.continuation_losses", full)
    answer = writer.ask(picture, "What is the date?")
    assert (answer.text, answer.instead_of) == (Writes.text, None)
