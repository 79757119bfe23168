"""The model of the drawn world and its experts on shipped pictures, a photograph, and a page nobody drew for it."""

import json
import time
from pathlib import Path

import pytest
from skimage import data

from moai import MoAI
from perception import verbalize
from weights import WEIGHTS

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def assistant():
    return MoAI.from_pretrained("moai-nano", device="cpu")


@pytest.mark.parametrize("entry", json.loads((EXAMPLES / "examples.json").read_text()), ids=lambda e: e["question"])
def test_examples_are_answered(assistant, entry):
    answer = assistant.ask(EXAMPLES / entry["picture"], entry["question"])
    assert answer.text.lower() == entry["answer"].lower()
    assert not answer.scene.warnings
    assert [gate.layer for gate in answer.gates] == [2, 4, 6, 8]


def test_a_warm_question_is_quick(assistant):
    picture = data.chelsea()
    assistant.ask(data.coffee(), "Is there a cat?")
    started = time.perf_counter()
    answer = assistant.ask(picture, "Is there a cat?")
    # Under 3 seconds on two quiet cores; a busy machine is given twice that.
    assert time.perf_counter() - started < 6
    assert answer.text in ("Yes", "No")


def test_a_photograph_goes_through(assistant):
    answer = assistant.ask(data.astronaut(), "Is there a person?")
    assert answer.text and not answer.scene.warnings


def test_the_words_of_a_scanned_page_are_evidence(assistant):
    answer = assistant.ask(data.page(), "What does the sign say?")
    words = verbalize(answer.scene)
    for word in ("Region-based segmentation", "markers of the coins", "histogram of grey values"):
        assert word in words
    assert answer.scene.text_lines[0].box[1] < answer.scene.text_lines[-1].box[1]


def test_weights_are_small_safe_files():
    files = [path for path in WEIGHTS.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".yaml", ".md", ".py", ".txt", ".onnx"}
    assert max(path.stat().st_size for path in files) < 16 * 2**20
    assert sum(path.stat().st_size for path in files) <= 100 * 2**20
    for folder in {path.parent for path in files if path.suffix in (".safetensors", ".onnx")}:
        assert (folder / "README.md").is_file(), folder
