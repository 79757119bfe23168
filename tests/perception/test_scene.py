"""Scenes as plain values and as files."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perception import Detection, Relation, Scene, Segment, TextLine
from perception.boxes import mask_to_rle, rle_to_mask

TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
SHARE = st.floats(0, 1)
BOX = st.tuples(SHARE, SHARE, SHARE, SHARE)
MASK = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
SCENES = st.builds(
    Scene,
    st.integers(1, 100),
    st.integers(1, 100),
    segments=st.lists(st.builds(Segment, TEXT, BOX, SHARE, st.none() | MASK), max_size=3),
    detections=st.lists(st.builds(Detection, TEXT, BOX, SHARE), max_size=3),
    objects=st.lists(TEXT, max_size=3),
    relations=st.lists(st.builds(Relation, st.integers(0, 5), TEXT, st.integers(0, 5), SHARE), max_size=3),
    text_lines=st.lists(st.builds(TextLine, TEXT, SHARE, st.none() | BOX), max_size=3),
    warnings=st.lists(TEXT, max_size=2),
    object_boxes=st.lists(BOX, max_size=3),
    timings=st.dictionaries(TEXT, st.floats(0, 1e3), max_size=3),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scene=SCENES)
def test_a_saved_scene_comes_back_without_loss(scene, tmp_path):
    scene.save(tmp_path / "scene.json")
    loaded = Scene.load(tmp_path / "scene.json")
    assert loaded == scene
    for one, other in zip(scene.segments, loaded.segments, strict=True):
        assert (one.mask is None) == (other.mask is None)
        if one.mask is not None:
            assert other.mask.dtype == bool and np.array_equal(other.mask, one.mask)
    assert Scene.from_dict(json.loads(json.dumps(scene.to_dict(), ensure_ascii=False))) == scene


def test_run_lengths_are_those_of_coco():
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)
    rle = mask_to_rle(mask)
    assert rle == {"size": [2, 3], "counts": [2, 3, 1]}
    assert np.array_equal(rle_to_mask(rle), mask)
    assert np.array_equal(rle_to_mask(mask_to_rle(~mask)), ~mask)
    with pytest.raises(ValueError):
        rle_to_mask({"size": [2, 3], "counts": [2]})


def test_people_get_no_masks():
    scene = Scene(3, 2, segments=[Segment("sky", (0.0, 0.0, 1.0, 0.5), 0.5, np.ones((2, 3), bool))])
    assert scene.to_dict()["segments"] == [{"label": "sky", "box": (0.0, 0.0, 1.0, 0.5), "score": 0.5}]


def test_numbers_of_numpy_are_saved(tmp_path):
    scene = Scene(3, 2, detections=[Detection("cat", (0.0, 0.0, 1.0, 0.5), np.float32(0.5))])
    scene.save(tmp_path / "scene.json")
    assert Scene.load(tmp_path / "scene.json") == scene


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "it is not valid JSON"),
        ("[]", "it must be a JSON object with width, height"),
        ("{}", "this is no scene: KeyError at 'width'"),
        ('{"width": 3, "height": 2, "moods": []}', "a scene has no part 'moods'; allowed are detections, height"),
        ('{"width": 3, "height": 2, "detections": [{"label": "cat"}]}', "this is no scene"),
        ('{"width": 3, "height": 2, "segments": [5]}', "this is no scene"),
        ('{"width": 3, "height": 2, "detections": 5}', "this is no scene"),
    ],
)
def test_files_that_hold_no_scene_are_one_sentence(content, says, tmp_path):
    file = tmp_path / "scene.json"
    file.write_text(content)
    with pytest.raises(ValueError) as caught:
        Scene.load(file)
    assert says in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        Scene.load(tmp_path / "absent.json")
