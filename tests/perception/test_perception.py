"""Experts together: side by side, timed, failing alone, remembered."""

import shutil
import threading
import time

import numpy as np
import pytest
import skimage.data
from PIL import Image

from perception import Detection, ImageError, Perception, TextLine, load_image, verbalize
from perception.images import image_digest, pixels_of
from perception.perception import WEIGHTS
from perception.registry import expert_names
from tests.conftest import example_image
from tests.perception.networks import save_untrained

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 72, 3), dtype=np.uint8)


class Fake:
    """An expert that counts its calls."""

    def __init__(self, name: str, work=lambda picture, scene: None):
        self.name, self.work, self.calls = name, work, 0

    def __call__(self, picture, scene):
        self.calls += 1
        self.work(picture, scene)


def fakes(**work) -> dict[str, Fake]:
    return {name: Fake(name, work.get(name, lambda picture, scene: None)) for name in expert_names()}


def failing(error: Exception):
    def work(picture, scene):
        raise error

    return work


def test_names():
    assert expert_names(None) == ("segmentation", "detection", "scene_graph", "ocr")
    assert expert_names("ocr, seg") == ("segmentation", "ocr")
    assert expert_names(["sgg", "detection"]) == ("detection", "scene_graph")
    assert expert_names("") == () == expert_names([])
    for bad in ("sgg,foo", ["foo"]):
        with pytest.raises(ValueError, match="unknown expert 'foo'; allowed are segmentation"):
            expert_names(bad)
    with pytest.raises(ValueError, match="rapidocr, paddleocr"):
        Perception(ocr="tesseract")


def test_one_expert_fails_alone():
    def see(picture, scene):
        scene.detections = [Detection("cat", (0, 0, 1, 1), 0.9)]

    scene = Perception(**fakes(segmentation=failing(RuntimeError("no\nluck.")), detection=see))(PICTURE)
    assert scene.warnings == ["segmentation failed: no"]
    assert [one.label for one in scene.detections] == ["cat"]
    assert list(scene.timings) == [*expert_names(), "total"]
    assert (scene.width, scene.height) == (72, 48)
    assert "cat" in verbalize(scene)


def test_the_scene_graph_waits_for_boxes_and_the_rest_runs_side_by_side():
    seen, running = [], threading.Barrier(3, timeout=5)

    def see(picture, scene):
        running.wait()  # passes only when all three run at once
        time.sleep(0.02)
        scene.detections = [Detection("cat", (0, 0, 1, 1), 0.9)]

    def relate(picture, scene):
        seen.append(len(scene.detections))

    work = {"detection": see, "scene_graph": relate}
    work |= {name: lambda picture, scene: running.wait() for name in ("segmentation", "ocr")}
    scene = Perception(**fakes(**work))(PICTURE)
    assert scene.warnings == [] and seen == [1]


def test_pictures_are_remembered_by_content_and_experts():
    made = fakes(ocr=lambda picture, scene: scene.text_lines.append(TextLine("hi", 0.9)))
    perception = Perception(**made, cache_size=2)
    first = perception(PICTURE)
    first.text_lines[0].text = "changed"
    first.warnings.append("changed")
    again = perception(Image.fromarray(PICTURE.copy()))
    assert made["ocr"].calls == 1
    assert [one.text for one in again.text_lines] == ["hi"] and not again.warnings
    perception(PICTURE, experts="ocr")
    assert made["ocr"].calls == 2 and made["detection"].calls == 1
    perception(255 - PICTURE)
    perception(PICTURE // 2)
    perception(PICTURE)
    assert made["ocr"].calls == 5
    forgetful = Perception(**made, cache_size=0)
    forgetful(PICTURE), forgetful(PICTURE)
    assert made["ocr"].calls == 7
    forgetful.remember(1)
    forgetful(PICTURE), forgetful(PICTURE)
    assert made["ocr"].calls == 8
    forgetful(255 - PICTURE), forgetful(PICTURE)
    assert made["ocr"].calls == 10


def test_a_passing_failure_is_tried_again():
    made = fakes(ocr=failing(OSError("busy")))
    perception = Perception(**made)
    assert perception(PICTURE).warnings == perception(PICTURE).warnings == ["OCR failed: busy"]
    assert made["ocr"].calls == 2


def test_experts_can_be_narrowed_but_not_widened():
    made = fakes()
    perception = Perception(experts=["detection", "ocr"], **made)
    assert perception.experts == ("detection", "ocr")
    assert list(perception(PICTURE, experts=["ocr"]).timings) == ["ocr", "total"]
    assert perception(PICTURE, experts=()).warnings == []
    with pytest.raises(ValueError, match="was not loaded"):
        perception(PICTURE, experts="seg")


def test_the_scene_graph_says_that_it_needs_detection():
    assert Perception(experts="sgg", **fakes())(PICTURE).warnings == [
        "the scene graph failed: it needs detection, which is switched off"
    ]


def test_missing_weights_are_warnings(tmp_path):
    scene = Perception("seg,det,sgg", weights=tmp_path)(PICTURE)
    assert len(scene.warnings) == 3
    assert "no trained detector" in scene.warnings[0]
    assert scene.warnings[2] == "the scene graph failed: it needs detection, which failed"
    assert verbalize(scene).strip() == ""


def test_a_picture_is_loaded_and_hashed_once(tmp_path, monkeypatch):
    loaded, hashed = [], []

    def counted(function, calls):
        return lambda picture: calls.append(picture) or function(picture)

    monkeypatch.setattr("perception.images.pixels.load_image", counted(load_image, loaded))
    monkeypatch.setattr("perception.images.pixels.image_digest", counted(image_digest, hashed))
    save_untrained(tmp_path / "detector")
    shutil.copytree(WEIGHTS / "relations", tmp_path / "relations")
    perception = Perception("seg,det,sgg", weights=tmp_path, device="cpu")
    perception(PICTURE)
    assert len(loaded) == len(hashed) == 1
    perception.batch([PICTURE, 255 - PICTURE])
    assert len(loaded) == len(hashed) == 3
    pixels = pixels_of(PICTURE // 2)
    assert perception.batch([pixels, pixels])[0].width == 72
    assert len(loaded) == 4 and len(hashed) == 4


def test_pixels_cannot_be_changed_behind_their_digest():
    pixels = pixels_of(PICTURE)
    assert pixels.digest == image_digest(PICTURE) and pixels_of(pixels) is pixels
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 0
    assert pixels[:10].digest == image_digest(PICTURE[:10]) != pixels.digest


def test_bad_pictures_are_refused():
    with pytest.raises(ImageError):
        Perception(**fakes())("/no/such/picture.png")


@pytest.mark.parametrize("preset", ["drawn", "photo"])
def test_a_batch_says_what_is_said_alone(preset):
    whole = example_image("street", 0.6)
    pictures = [whole, whole[:-60, 40:], skimage.data.cat()[::2, ::2], whole[20:-70, :-11], whole]
    together = Perception(experts_from=preset, device="cpu").batch(pictures)
    assert len(together) == 5 and together[0] is not together[4]
    one_by_one = Perception(experts_from=preset, device="cpu", cache_size=0)
    for picture, scene in zip(pictures, together, strict=True):
        alone = one_by_one(picture)
        assert not scene.warnings
        assert verbalize(scene) == verbalize(alone)
        scene.timings = alone.timings = {}
        assert scene.to_bytes() == alone.to_bytes()
    assert one_by_one.batch([]) == []


def test_a_photograph_and_a_page_go_through_all_experts(tmp_path):
    save_untrained(tmp_path / "detector")
    shutil.copytree(WEIGHTS / "relations", tmp_path / "relations")
    perception = Perception(weights=tmp_path, device="cpu")
    for picture in (skimage.data.astronaut(), skimage.data.page()):
        scene = perception(picture)
        assert scene.warnings == []
        assert list(scene.timings) == [*expert_names(), "total"]
        for segment in scene.segments:
            assert segment.mask.shape == picture.shape[:2]
    assert "Region-based segmentation" in verbalize(scene)
