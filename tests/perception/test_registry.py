"""Kinds of experts: what the registry tells of the four, and that a fifth is one file and one line."""

import json

import numpy as np
import pytest

from perception import Perception, Scene, registry, verbalize
from perception.draw import draw
from tests.perception.tagging import Tag

PICTURE = np.full((60, 90, 3), 200, np.uint8)


@pytest.fixture
def tagging():
    """The kind of `tests/perception/tagging.py`, registered for one test."""
    registry.register("tests.perception.tagging")
    yield registry.kind("tagging")
    registry.unregister("tests.perception.tagging")


def test_the_four_kinds():
    assert registry.expert_names() == ("segmentation", "detection", "scene_graph", "ocr")
    assert [one.short_name for one in registry.kinds()] == ["seg", "det", "sgg", "ocr"]
    assert [one.label for one in registry.kinds()] == ["Segmentation", "Detection", "Scene graph", "OCR"]
    assert registry.layers() == {
        "segments": "Segments", "detections": "Detections", "relations": "Relations", "text": "Text"
    }  # fmt: skip
    assert registry.kind("scene_graph").needs == ("detection",)
    with pytest.raises(ValueError, match="unknown expert 'depth'; allowed are segmentation"):
        registry.kind("depth")


def test_a_fifth_kind_is_one_file_and_one_line(tagging):
    def tag(picture, scene):
        scene.more["tags"] = [Tag("outdoor", 0.9)]

    def fail(picture, scene):
        raise RuntimeError("no words")

    assert registry.expert_names("tag,seg") == ("segmentation", "tagging")
    scene = Perception("tag", tagging=tag)(PICTURE)
    assert list(scene.timings) == ["tagging", "total"]
    assert verbalize(scene).strip() == "The image is tagged: outdoor."
    assert verbalize(scene, ["ocr"]).strip() == ""
    assert json.loads(json.dumps(scene.to_dict()))["tags"] == [{"word": "outdoor", "score": 0.9}]
    assert tagging.findings(scene)[0].what == "outdoor"
    assert registry.layers()["tags"] == "Tags"
    assert (np.asarray(draw(PICTURE, scene)) != np.asarray(draw(PICTURE, Scene(90, 60)))).any()
    assert Perception("tag", tagging=fail)(PICTURE).warnings == ["tagging failed: no words"]


def test_without_it_nothing_of_it_is_left():
    assert "tags" not in Scene(90, 60).to_dict()
    with pytest.raises(ValueError, match="unknown expert 'tag'"):
        registry.expert_names("tag")
