"""`python -m moai ask | perceive | convert`: what they print, and every sentence a person can meet."""

import json
import logging
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from moai.cli import main
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from perception import Perception
from tests import warm
from tests.perception.hub import models

ROOT = Path(__file__).parents[2]
SCENE = sample_layout(12, difficulty=0.0)
SIGN = SCENE.signs[0].text
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*") if path.suffix in (".png", ".jpg", ".jpeg"))


@pytest.fixture(autouse=True)
def loud_again():
    """The command line quiets libraries; the other tests want to hear them."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        yield
    logging.disable(before)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "sign.png"
    Image.fromarray(render(SCENE, scale=0.5).image).save(path)
    return path


@pytest.fixture
def reading_only(monkeypatch):
    """Text recognition as the only expert, whatever is asked for."""
    monkeypatch.setattr("moai.assistant.Perception", lambda *_, **__: Perception(experts="ocr"))


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_ask_prints_the_answer_and_its_evidence(capsys, picture, model_folder, reading_only):
    code, out, _ = run(
        capsys, "ask", picture, "What does it say?", "--model", model_folder, "--max-new-tokens", 4, "--device", "cpu"
    )
    assert code == 0
    assert "What the experts saw" in out and SIGN in out
    assert "Whom the model listened to" in out and "seconds: load" in out


def test_ask_as_json(capsys, picture, model_folder, reading_only):
    settings = ("--model", model_folder, "--max-new-tokens", 4, "--device", "cpu")
    code, out, _ = run(capsys, "ask", picture, "What does it say?", "--json", *settings)
    record = json.loads(out)
    assert code == 0 and set(record) == {"text", "scene", "gates", "timings"}
    assert SIGN in [line["text"] for line in record["scene"]["text_lines"]]
    assert [gate["layer"] for gate in record["gates"]] == [1, 3]
    again = json.loads(run(capsys, "ask", picture, "What does it say?", "--json", *settings)[1])
    assert again["text"] == record["text"]
    code, out, _ = run(capsys, "ask", picture, "What does it say?", "--json", "--no-moai", *settings)
    record = json.loads(out)
    assert code == 0 and record["gates"] == [] and record["scene"]["text_lines"] == []
    code, out, _ = run(capsys, "ask", picture, "What does it say?", "--no-moai", *settings)
    assert code == 0 and "What the experts saw" not in out


def test_perceive(capsys, picture, tmp_path):
    drawn = tmp_path / "drawn.png"
    code, out, _ = run(capsys, "perceive", picture, "--experts", "ocr", "--draw", drawn)
    assert code == 0
    assert "OCR" in out and SIGN in out and "words for the compressor: The image includes text" in out
    with Image.open(drawn) as image:
        assert min(image.size) >= min(Image.open(picture).size)
    code, out, _ = run(capsys, "perceive", picture, "--experts", "ocr", "--json")
    record = json.loads(out)
    assert code == 0 and SIGN in record["words"]
    assert {"width", "height", "text_lines", "warnings"} <= set(record)


def test_words_from_a_picture_are_not_markup(capsys, monkeypatch, picture):
    from perception.scene import Scene, TextLine

    lines = [TextLine("[bold]x[/bold] [/oops]", 1.0)]
    monkeypatch.setattr("perception.Perception.__call__", lambda *args: Scene(9, 9, text_lines=lines))
    code, out, _ = run(capsys, "perceive", picture)
    assert code == 0 and "[bold]x[/bold] [/oops]" in out


def test_one_option_lets_an_expert_of_the_hub_speak(capsys, picture, model_folder, tmp_path):
    swap = f"detection=hf_detection:{models.detr(tmp_path)}"
    asked = ("ask", picture, "What?", "--model", model_folder, "--max-new-tokens", 2, "--device", "cpu", "--json")
    code, out, _ = run(capsys, *asked, "--experts", "det", "--expert", swap)
    scene = json.loads(out)["scene"]
    code, out, _ = run(capsys, "perceive", picture, "--experts", "det", "--expert", swap, "--json")
    assert code == 0 and not scene["warnings"] and scene["detections"]
    assert json.loads(out)["detections"] == scene["detections"]
    code, out, _ = run(capsys, *asked, "--experts", "det", "--expert", "det=hf_detection:nobody/nothing")
    assert code == 0 and json.loads(out)["text"]
    assert (
        "nobody/nothing is not on this machine and the hub is out of reach" in json.loads(out)["scene"]["warnings"][0]
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ask", "/no/such.png", "Why?"), "there is no file"),
        (("ask", "PICTURE", "Why?", "--expert", "det"), "'det' replaces no expert; write KIND=BACKEND"),
        (("ask", "PICTURE", "Why?", "--expert", "det=hf_detection"), "hf_detection needs weights for detection: the"),
        (("perceive", "PICTURE", "--expert", "det=magic:x"), "unknown detection backend 'magic'; allowed are yolo"),
        (("ask", "NOT_A_PICTURE", "Why?"), "is not a picture"),
        (("ask", "PICTURE", "  "), "the question is empty"),
        (("ask", "PICTURE", "Why?", "--model", "/no/model"), "no MoAI model could be loaded from '/no/model'"),
        (("ask", "PICTURE", "Why?", "--model", "nobody/nothing"), "the id of one on a hub that can be reached"),
        (("ask", "PICTURE", "Why?", "--experts", "seg,depth"), "unknown expert 'depth'; allowed are segmentation"),
        (("ask", "PICTURE", "Why?", "--device", "abacus"), "device 'abacus' cannot be used here"),
        (("ask", "PICTURE", "Why?", "--quantize", "int3"), "unknown quantisation 'int3'; allowed are bf16, int8, int4"),
        (("ask", "PICTURE", "Why?", "--device", "cpu", "--memory", "8"), "'8' is no amount of memory; write it as 8GB"),
        (("ask", "PICTURE", "Why?", "--device", "cpu", "--memory", "8GB"), "a limit of memory needs a CUDA device"),
        (("ask", "PICTURE", "Why?", "--max-new-tokens", "0"), "max_new_tokens is 0; allowed is 1 to 4096"),
        (("ask", "PICTURE", "Why?", "--temperature", "-1"), "temperature is -1.0; allowed is 0 (greedy) to 10"),
        (("perceive", "/no/such.png"), "there is no file"),
        (("perceive", "FOLDER"), "is a folder"),
        (("perceive", "PICTURE", "--experts", "depth"), "unknown expert 'depth'"),
        (("perceive", "PICTURE", "--ocr", "tesseract"), "unknown OCR backend 'tesseract'; allowed are rapidocr"),
        (("perceive", "PICTURE", "--experts", "ocr", "--draw", "/no/such/out.png"), "cannot write the annotated"),
        (("perceive", "PICTURE", "--experts", "ocr", "--draw", "FOLDER/out.what"), "cannot write the annotated"),
        (("convert", "/no/such", "FOLDER/out"), "there is no folder '/no/such'"),
        (("convert", "FOLDER", "FOLDER/out"), "holds no weights"),
        (("convert", "FOLDER", "FOLDER/out", "--sizes", "/no/sizes.json"), "cannot be read as JSON"),
        (("export", "/no/such", "FOLDER/out"), "/no/such holds no result of train.py"),
    ],
)
def test_errors_are_one_sentence(capsys, tmp_path, picture, arguments, sentence):
    (tmp_path / "notes.txt").write_text("not a picture at all")
    names = {"NOT_A_PICTURE": tmp_path / "notes.txt", "PICTURE": picture}
    given = [str(names.get(one, one)).replace("FOLDER", str(tmp_path)) for one in arguments]
    code, out, err = run(capsys, *given)
    assert code == 2 and out == ""
    assert sentence in err and err.startswith("moai: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "missing command; `moai --help` says what is allowed"),
        (["sing"], "no such command 'sing'"),
        (["ask"], "missing argument 'PICTURE'; `moai ask --help` says"),
        (["ask", "a.png"], "missing argument 'QUESTION'"),
        (["ask", "a", "b", "--temperature", "x"], "invalid value for '--temperature'"),
        (["ask", "a", "b", "--loud"], "no such option: --loud"),
        (["perceive", "a", "b"], "unexpected extra argument"),
        (["eval", "sing"], "no such command 'sing'; `moai eval --help` says"),
    ],
)
def test_usage(capsys, arguments, sentence):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert sentence in err and err.startswith("moai: ") and err.count("\n") == 1


def test_a_real_process(picture):
    asked = EXAMPLES[0] if EXAMPLES else picture
    command = [sys.executable, "-m", "moai", "ask", str(asked), "What does the sign say?", "--json"]
    # Offline, and from elsewhere.
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    done = warm.run(command, picture.parent, environment)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["text"] and record["gates"] and not record["scene"]["warnings"]
    assert "Traceback" not in done.stderr


def test_memory_is_limited_for_evaluations_too(capsys):
    for command in (["run", "drawn"], ["ablate"], ["answers"], ["faithfulness"], ["contribution"]):
        with suppress(SystemExit):
            assert main(["eval", *command, "--device", "cpu", "--memory", "8GB"]) == 2
        assert capsys.readouterr().err.endswith("a limit of memory needs a CUDA device; leave it out on cpu\n")
