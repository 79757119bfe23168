"""Panels and overlays over scenes with known content."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moai.answers import EncodedImage
from moai.web import overlays, views
from moai.web.engine import About, Engine
from moai.web.examples import DRAWN, listed_in, photographs
from moai.web.layout import Page
from moai.web.session import Look, Session, Turn, Variant, describe, variant_title
from perception import Detection, Relation, Scene, TextLine, registry


class Shares:
    """What the views read of one mixer's shares."""

    def __init__(self, layer, aux_map):
        aux = sum(aux_map) / len(aux_map)
        self.layer, self.aux_map = layer, aux_map
        self.image = {"aux": aux, "language": 0.1, "self": 0.9 - aux}
        self.language = {"aux": 0.5, "image": 0.25, "self": 0.25}


def test_relations_are_a_table_with_the_surest_first_and_the_unsure_paler():
    scene = Scene(
        10, 10, objects=["cat", "cat", "road"], relations=[Relation(0, "on", 2, 0.4), Relation(1, "by", 0, 0.9)]
    )
    html = views.relations(scene)
    assert html.index("cat (#2)") < html.index("40%")
    assert html.count('class="untold"') == 1 and html.count('class="told"') == 1
    assert "1 paler" in html


def test_empty_scenes_say_so_in_a_sentence():
    scene = Scene(10, 10)
    assert "No relations" in views.relations(scene)
    assert "No text" in views.text_lines(scene)
    assert "Ask a question" in views.gates_chart([])
    assert "Ask a question" in views.heat_legend(None)
    assert describe(scene) == "Picture in which the experts detected nothing"


def test_words_from_pictures_and_people_are_never_markup():
    evil = "<img src=x onerror=alert(1)>"
    scene = Scene(9, 9, objects=[evil, evil], relations=[Relation(0, evil, 1, 1.0)], text_lines=[TextLine(evil, 1.0)])
    variants = [Variant(evil, evil, evil, 0.2, 1.0), Variant(evil, "no", "", None, 1.0)]
    for html in (views.relations(scene), views.text_lines(scene), views.comparison(evil, variants)):
        assert "<img" not in html and "&lt;img" in html


def test_the_chart_has_a_bar_for_each_layer_and_side_with_its_shares_spoken():
    html = views.gates_chart([Shares(2, [0.2] * 4), Shares(4, [0.4] * 4)])
    assert html.count('role="img"') == 4
    assert 'aria-label="Layer 2: experts 20%, language 10%, itself 70%"' in html
    assert 'aria-label="Layer 4: experts 50%, image 25%, itself 25%"' in html
    assert "width:40.00%" in html


def test_the_heat_map_is_brightest_where_tokens_drew_most_on_the_experts():
    shares = [0.1] * 16
    shares[3] = 0.9  # first row, last column
    gates = [Shares(2, shares), Shares(4, [0.1] * 16)]
    first = overlays.map_of(gates, 2)
    assert first.shape == (4, 4) and first[0, 3] == pytest.approx(0.9)
    assert overlays.map_of(gates, None)[0, 3] == pytest.approx(0.5)
    assert overlays.map_of([], None) is None and overlays.map_of(gates, 6) is None
    heat = np.asarray(overlays.heat_map(Image.new("RGB", (80, 60), "grey"), first)).sum(axis=2)
    assert heat.shape == (60, 80)
    top_right, bottom_left = heat[:10, -15:].mean(), heat[-10:, :15].mean()
    assert top_right > bottom_left + 100
    assert "10.0%" in views.heat_legend(first) and "90.0%" in views.heat_legend(first)


def test_even_shares_are_said_to_be_even():
    even = overlays.map_of([Shares(2, [1 / 3] * 9)], None)
    assert "Everywhere the same" in views.heat_legend(even)
    assert overlays.heat_map(Image.new("RGB", (30, 20)), even).size == (30, 20)


def test_the_status_tells_loading_ready_and_failed_apart():
    engine = Engine()
    assert "<progress" in views.status(engine) and "Starting" in views.status(engine)
    engine.problem = "no such model"
    assert "no such model" in views.status(engine) and "alert" in views.status(engine)
    engine.problem, engine.assistant = None, object()
    engine.about = About("moai-nano", "embedded", 26_000_000, "cpu", (2, 4), ("detection", "ocr"), "drawn")
    html = views.status(engine)
    assert (
        "moai-nano · 2 experts" in html
        and "26 million" in html
        and "layers 2, 4" in html
        and "Detection, OCR" in html
        and "drawn" in html
    )


def test_a_changed_answer_is_marked_as_such():
    same = [Variant("Everything on", "3", "a", 0.3, 1), Variant("Without OCR", "3", "", None, 1)]
    other = [same[0], Variant("Without OCR", "4", "", None, 1)]
    assert "The same answer" in views.comparison("How many?", same)
    assert "Another answer" in views.comparison("How many?", other)


@pytest.mark.parametrize(
    ("kept", "moai", "title"),
    [
        (("segmentation", "detection", "scene_graph"), True, "Without OCR"),
        (("ocr",), True, "Without segmentation, detection and the scene graph"),
        ((), True, "Without any expert"),
        (("ocr",), False, "MoAI off: the plain backbone"),
        (("segmentation", "detection", "scene_graph", "ocr"), True, "Everything on, once more"),
    ],
)
def test_a_variant_is_named_after_what_is_missing(kept, moai, title):
    assert variant_title(kept, registry.expert_names(), moai) == title


def test_history_is_what_was_said_about_the_picture_in_question():
    session = Session()
    session.turns = [Turn("old?", "yes", done=True), Turn("new?", "no", done=True), Turn("unfinished?")]
    session.since = 1
    assert [one["content"] for one in session.history()] == ["new?", "no"]


def test_alt_texts_count_what_is_sure():
    sure = [
        Detection("cat", (0, 0, 1, 1), 0.9),
        Detection("cat", (0, 0, 1, 1), 0.8),
        Detection("dog", (0, 0, 1, 1), 0.7),
    ]
    assert describe(Scene(9, 9, detections=[*sure, Detection("cow", (0, 0, 1, 1), 0.2)])) == "Picture with 2 × cat, dog"


@pytest.mark.parametrize("folder", [DRAWN, photographs()], ids=["drawn", "photographs"])
def test_examples_are_few_and_small(folder):
    listed = listed_in(folder)
    assert 4 <= len(listed) <= 6 and all(Path(one["picture"]).is_file() for one in listed)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 400_000


def test_every_photograph_has_its_author_and_licence():
    told = (photographs() / "README.md").read_text()
    pictures = {file.name for file in photographs().glob("*.jpg")}
    assert set(re.findall(r"^\| `(\w+\.jpg)` \|(?: [^|]+\|){4}$", told, flags=re.MULTILINE)) == pictures
    assert all((photographs() / name).stat().st_size <= 60_000 for name in pictures)


@pytest.mark.parametrize(
    ("model", "experts_from", "shown"),
    [
        ("moai-nano", None, "street.png"),
        ("moai-nano", "hub", "astronaut.jpg"),
        ("BK-Lee/MoAI-7B", None, "astronaut.jpg"),
    ],
)
def test_examples_are_of_the_world_that_the_experts_know(model, experts_from, shown):
    page = Page(Engine(model, experts_from=experts_from))
    assert Path(page.examples[0]["picture"]).name == shown
    assert [one.value for one in page.example_buttons] == [one["question"] for one in page.examples]


def test_experts_that_are_not_there_are_named():
    look = Look("a", None, None, EncodedImage(Scene(9, 9), ("detection", "ocr"), {}, {}), "", 0.1)
    assert "Not among these experts: Segmentation, Scene graph." in views.expert_times(look)
    whole = Look("a", None, None, EncodedImage(Scene(9, 9), registry.expert_names(), {}, {}), "", 0.1)
    assert "Not among" not in views.expert_times(whole)
