"""`moai perceive --all`: what it looks at, what it keeps, and every sentence a person can meet."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

from moai.cli import main


@pytest.fixture(autouse=True)
def loud_again():
    before = logging.root.manager.disable
    yield
    logging.disable(before)


@pytest.fixture
def folder(tmp_path):
    """Three pictures and a broken one, rows about some of them, and a preset whose experts say nothing."""
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"p{number}.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "none.yaml").write_text("segmentation: off\ndetection: off\nscene_graph: off\nocr: off")
    said = [{"from": "human", "value": "<image>\nWhat is this?"}, {"from": "gpt", "value": "Noise"}]
    rows = [{"image": name, "conversations": said} for name in ("p0.png", "p1.png", "p1.png", "gone.png")]
    (tmp_path / "llava.json").write_text(json.dumps(rows))
    messages = [{"role": "user", "content": "What is this?"}, {"role": "assistant", "content": "Noise"}]
    (tmp_path / "chat.jsonl").write_text(json.dumps({"messages": messages, "images": ["p2.png"]}))
    return tmp_path


def run(capsys, source, folder, *arguments, preset="none.yaml") -> tuple[int, str, str]:
    words = ["perceive", "--all", source, "--experts-from", folder / preset, *arguments]
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def kept(folder) -> int:
    return len(list((folder / "cache").glob("none-*/*/*.json.z")))


def test_folders_and_files_are_looked_at_once(capsys, folder):
    cache = ("--cache", folder / "cache")
    code, out, err = run(capsys, folder / "llava.json", folder, *cache)
    assert code == 0 and "2 pictures looked at" in out and "0 were there" in out and kept(folder) == 2
    assert "1 skipped, listed in" in out and "llava.json row 4: its picture" in out and "gone.png is missing" in out
    assert "2/2" in err and "pictures/s" in err
    code, out, _ = run(capsys, folder / "chat.jsonl", folder, *cache, "--images", folder)
    assert code == 0 and "1 pictures looked at" in out and kept(folder) == 3
    code, out, _ = run(capsys, folder, folder, *cache)
    assert code == 0 and "0 pictures looked at" in out and "3 were there" in out
    (report,) = (folder / "cache").glob("none-*/skipped.json")
    assert list(json.loads(report.read_text())) == [str(folder / "broken.jpg")]


def test_the_data_of_an_experiment(capsys, folder):
    own = f"{{name: llava, file: {folder / 'llava.json'}, cache: {folder / 'cache'}, hold_out: 1}}"
    path = folder / "mine.yaml"
    path.write_text(f"base: gates\ndata: [{own}, {{name: drawn}}]\n")
    code, out, _ = run(capsys, path, folder)
    assert code == 0 and "2 pictures looked at" in out and kept(folder) == 2
    path.write_text("base: gates\n")
    code, _, err = run(capsys, path, folder, "--cache", folder / "cache")
    assert code == 2 and "none of the sources drawn has pictures to look at; llava, messages, hub have" in err


@pytest.mark.parametrize(
    ("source", "arguments", "sentence"),
    [
        ("", (), "say with --cache where what the experts see is kept"),
        ("nothing", (), "there is no {folder}/nothing; give a folder of pictures, a file of conversations (.json"),
        ("empty", ("--cache", "{folder}/cache"), "there is no picture in {folder}/empty"),
        ("p0.json", ("--cache", "{folder}/cache"), 'holds no conversations; its rows need "conversations"'),
        ("", ("--cache", "{folder}/p0.png"), "the cache {folder}/p0.png cannot be written"),
        ("", ("--cache", "{folder}/cache", "--workers", "0"), "invalid value for '--workers'"),
        ("", ("--cache", "{folder}/cache", "--experts", "ocr"), "with --all, only --cache, --images"),
        ("", ("--cache", "{folder}/cache", "--experts-from", "mine"), "unknown preset of experts 'mine'; allowed are"),
    ],
)
def test_what_is_wrong_is_one_sentence(capsys, folder, source, arguments, sentence):
    (folder / "empty").mkdir()
    (folder / "p0.json").write_text('{"width": 3}')
    words = [word.format(folder=folder) for word in arguments]
    code, _, err = run(capsys, folder / source, folder, *words)
    assert code == 2 and sentence.format(folder=folder) in err and len(err.strip().splitlines()) == 1


def test_one_picture_or_all(capsys, folder):
    assert main(["perceive"]) == 2 and "give one picture, or --all SOURCE --cache DIR" in capsys.readouterr().err
    assert main(["perceive", str(folder / "p0.png"), "--cache", "x"]) == 2
