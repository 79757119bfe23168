"""The page knows the experts from the registry alone: a kind that is registered there appears everywhere."""

from pathlib import Path

import numpy as np
import pytest

from moai.assistant import MoAI
from moai.web.engine import Engine
from moai.web.handlers import Handlers
from moai.web.layout import Page
from moai.web.session import Session, Settings
from perception import Perception, registry
from tests.perception.tagging import Tag

STREET = str(Path(__file__).resolve().parents[2] / "examples" / "street.png")


@pytest.fixture
def tagging():
    """A fifth kind: one file, and this line."""
    registry.register("tests.perception.tagging")
    yield registry.kind("tagging")
    registry.unregister("tests.perception.tagging")


def tag(picture, scene):
    scene.more["shades"] = [Tag("<outdoor>", 0.9)]


def with_experts(engine: Engine, perception: Perception) -> Engine:
    """An engine with the same model and other experts."""
    other = Engine()
    assistant = engine.get()
    other.use(MoAI(assistant.model, assistant.processor, perception))
    return other


def test_a_fifth_kind_can_be_shown_and_switched(tagging):
    page = Page(Engine())
    assert ("Tags", "shades") in page.layers.choices and "shades" in page.layers.value
    assert ("Tags", "tagging") in page.kept.choices and "tagging" in page.kept.value


def test_what_it_found_is_shown_and_told(engine, tagging):
    asked = with_experts(engine, Perception("tag,ocr", tagging=tag))
    session, page = Session(), Handlers(asked)
    _, _, _, relations, panels, words, times = page.on_look(session, STREET, [])
    assert relations == "", "nobody looked for any"
    assert "<h4>Tags</h4>" in panels and "&lt;outdoor&gt;" in panels and "<outdoor>" not in panels
    assert words.endswith("The image is tagged: <outdoor>.")
    assert "Recognised text" in panels and "Not among these experts: Segmentation, Detection, Scene graph." in times
    assert "Tags" in times and f"rgb{tagging.colour}".replace(" ", "") in times
    with_tags, without = (np.asarray(page.on_layers(session, shown)) for shown in (["shades"], []))
    assert (with_tags != without).any(), "the layer is drawn"
    _, without = session.compare(asked, STREET, "What does the sign say?", ["ocr"], True, Settings())
    assert without.title == "Without tagging" and "tagged" not in without.words and "GALLERY" in without.words


def test_only_experts_that_are_there_can_be_switched(engine):
    status, timer, layers, kept = Handlers(with_experts(engine, Perception("ocr"))).on_tick()
    assert "1 expert<" in status and not timer.active
    assert layers.choices == [("Text", "text")] and kept.choices == [("OCR", "ocr")]


def test_an_expert_that_fails_is_told(engine, tagging):
    def fail(picture, scene):
        raise RuntimeError("no words")

    asked = with_experts(engine, Perception("tag", tagging=fail))
    times = Handlers(asked).on_look(Session(), STREET, ["tags"])[-1]
    assert "tagging failed: no words." in times


def test_the_experts_of_another_preset_answer(tmp_path):
    preset = tmp_path / "reader.yaml"
    preset.write_text("ocr: rapidocr\n")
    engine = Engine(experts_from=str(preset))
    engine.load()
    assert engine.about.experts == ("ocr",) and engine.about.experts_from == str(preset)
    assert engine.get().perception.experts == ("ocr",)
