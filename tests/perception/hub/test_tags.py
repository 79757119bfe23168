"""Tags: an optional kind, which changes nothing where no preset names it."""

import json

import pytest

from perception import Perception, Scene, Tag, TextLine, verbalize
from perception.registry import expert_names, kind, layers

READ = Scene(9, 9, text_lines=[TextLine("GALLERY", 0.9)])
FOUR = "   The image includes text descriptions: GALLERY."


def tagged(*tags: Tag) -> Scene:
    return Scene(9, 9, text_lines=list(READ.text_lines), more={"tags": list(tags)})


def test_without_tags_nothing_tells_of_them():
    assert verbalize(READ) == FOUR and verbalize(READ, expert_names()) == FOUR
    assert verbalize(Scene(9, 9)) == "   "
    assert "tags" not in READ.to_dict() and "tags" not in READ.to_dict(exact=True)
    assert "tags" not in Perception().experts and "tags" not in expert_names()
    assert "tags" not in layers()


def test_what_is_sure_is_said_surest_first():
    scene = tagged(Tag("racket, racquet", 0.4), Tag("ball", 0.29), Tag("tennis ball", 0.6))
    assert verbalize(scene) == f"{FOUR} The image shows: tennis ball, and racket."
    assert verbalize(scene, ["ocr"]) == FOUR
    assert verbalize(scene, ["tags"]) == "    The image shows: tennis ball, and racket."
    assert verbalize(tagged(*(Tag(f"t{number}", 1 - number / 100) for number in range(9)))).count("t4") == 1
    assert "t5" not in verbalize(tagged(*(Tag(f"t{number}", 1 - number / 100) for number in range(9))))
    assert verbalize(tagged(Tag("ball", 0.1))) == FOUR


def test_tags_are_found_and_saved(tmp_path):
    scene = tagged(Tag("racket, racquet", 0.4))
    assert [(one.what, one.box, one.score) for one in kind("tags").findings(scene)] == [("racket, racquet", None, 0.4)]
    assert json.loads(json.dumps(scene.to_dict()))["tags"] == [{"label": "racket, racquet", "score": 0.4}]
    scene.save(tmp_path / "scene.json")
    assert Scene.load(tmp_path / "scene.json") == scene


def test_a_preset_brings_them_in():
    def see(picture, scene):
        scene.more["tags"] = [Tag("beach", 0.8)]

    perception = Perception("tags", tags=see)
    assert perception.experts == ("tags",)
    picture = [[[0, 0, 0]] * 9] * 9
    import numpy as np

    assert verbalize(perception(np.array(picture, np.uint8))).strip() == "The image shows: beach."
    with pytest.raises(ValueError, match="the preset of experts drawn has no tags; it has segmentation"):
        Perception("tags")
