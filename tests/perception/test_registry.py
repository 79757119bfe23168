"""Kinds of experts: what the registry tells of the four, and that a fifth is one file and one line."""

import json

import numpy as np
import pytest

from perception import Perception, Scene, registry, verbalize
from perception.draw import draw

PICTURE = np.full((60, 90, 3), 200, np.uint8)


@pytest.fixture
def tagging():
    """The kind of `tests/perception/tagging.py`, registered for one test."""
    registry.register("tests.perception.tagging")
    yield registry.kind("tagging")
    registry.unregister("tests.perception.tagging")


def test_the_four_kinds():
    assert registry.expert_names() == ("segmentation", "detection", "scene_graph", "ocr")
    assert [one.short_name for one in registry.usual_kinds()] == ["seg", "det", "sgg", "ocr"]
    assert [one.label for one in registry.usual_kinds()] == ["Segmentation", "Detection", "Scene graph", "OCR"]
    assert registry.layers() == {
        "segments": "Segments", "detections": "Detections", "relations": "Relations", "text": "Text"
    }  # fmt: skip
    assert registry.kind("scene_graph").needs == ("detection",)
    with pytest.raises(ValueError, match="unknown expert 'depth'; allowed are segmentation"):
        registry.kind("depth")


def test_a_fifth_kind_is_one_file_and_one_line(tagging, tmp_path):
    assert registry.expert_names("tag,seg") == ("segmentation", "tagging")
    everyone = Perception()
    assert everyone.experts == ("segmentation", "detection", "scene_graph", "ocr", "tagging")
    scene = everyone.narrowed("tag")(PICTURE)
    assert list(scene.timings) == ["tagging", "total"]
    assert verbalize(scene).strip() == "The image is tagged: light."
    assert verbalize(scene, ["ocr"]).strip() == ""
    assert json.loads(json.dumps(scene.to_dict()))["shades"] == [{"word": "light", "score": 0.9}]
    scene.save(tmp_path / "scene.json")
    assert Scene.load(tmp_path / "scene.json") == scene
    assert tagging.findings(scene)[0].what == "light"
    assert registry.layers()["shades"] == "Tags"
    assert (np.asarray(draw(PICTURE, scene)) != np.asarray(draw(PICTURE, Scene(90, 60)))).any()
    with pytest.raises(ValueError, match=r"allowed are .*, shades"):
        draw(PICTURE, scene, ["depth"])


def test_what_runs_a_fifth_kind_can_be_chosen(tagging):
    def fail(picture, scene):
        raise RuntimeError("no words")

    assert Perception("tag", tagging=fail)(PICTURE).warnings == ["tagging failed: no words"]
    assert "tagging" not in Perception(experts_from={"ocr": "rapidocr", "tag": False}).experts


def test_what_is_no_list_of_names():
    for names in (3, object()):
        with pytest.raises(ValueError, match=f"a text with commas between them, not {type(names).__name__}"):
            registry.expert_names(names)
    with pytest.raises(ValueError, match="unknown expert 'aaa") as caught:
        registry.expert_names("a" * 5000)
    assert len(str(caught.value)) < 400


def test_names_are_taken_once():
    kinds, backends = registry.kinds(), registry.backends()
    with pytest.raises(ValueError, match="there is 'det' already; choose another name for the kind 'detection'"):
        registry.register("perception.kinds.detection")
    with pytest.raises(ValueError, match="there is a backend 'yolo' already"):
        registry.register("perception.backends.yolo")
    assert registry.kinds() == kinds and registry.backends() == backends


def test_without_it_nothing_of_it_is_left():
    assert "shades" not in Scene(90, 60).to_dict()
    with pytest.raises(ValueError, match="unknown expert 'tag'"):
        registry.expert_names("tag")
