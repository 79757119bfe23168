"""What experts saw is kept: exactly, for these experts alone, whatever dies while it is written."""

import json
import os
import pickle
import shutil
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import yaml
from PIL import Image

from perception import Perception, registry, verbalize
from perception.cache import CachedPerception
from perception.cache.fill import OF_MANY, Looked, fill
from perception.images import pixels_of
from perception.panoptic import panoptic_ids

NONE = {"segmentation": False, "detection": False, "scene_graph": False, "ocr": False}


@pytest.fixture
def counting():
    registry.register("tests.perception.cache.counting")
    yield
    registry.unregister("tests.perception.cache.counting")


def preset(folder, name="mine", **options):
    """A preset whose experts write into `folder/looks`, which are not their weights."""
    expert = {"backend": "counting", "weights": str(folder / "looks"), "options": options}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(NONE | {"segmentation": expert, "detection": expert}))
    return path


def looks(folder) -> int:
    return len((folder / "looks").read_text().splitlines()) if (folder / "looks").is_file() else 0


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def cached(folder, *args, **options) -> CachedPerception:
    return CachedPerception(Perception(experts_from=preset(folder, *args, **options), cache_size=0), folder / "cache")


def test_a_scene_is_looked_at_once_and_comes_back_exactly(counting, tmp_path):
    first = cached(tmp_path)
    scene = first(picture(0))
    assert looks(tmp_path) == 2
    again = pickle.loads(pickle.dumps(first)).batch([picture(0), picture(1), picture(0)])
    assert looks(tmp_path) == 4  # the other picture's
    assert again[0] == scene == again[2] and again[0].detections[0].score == 1 / 3
    assert np.array_equal(again[0].segments[0].mask, scene.segments[0].mask)
    assert verbalize(again[0]) == verbalize(scene)
    assert np.array_equal(panoptic_ids(again[0], 32), panoptic_ids(scene, 32)) and panoptic_ids(scene, 32).any()


def test_scenes_of_other_experts_are_not_taken(counting, tmp_path):
    weights = tmp_path / "looks"
    weights.write_text("")
    one = cached(tmp_path)
    same = cached(tmp_path)
    assert one.folder == same.folder
    other = cached(tmp_path, offset=1)  # other options
    weights.write_text("other")
    trained = cached(tmp_path)  # other contents of the same file
    assert len({one.folder, other.folder, trained.folder}) == 3
    shutil.copy(weights, tmp_path / "copy")
    record = json.loads((one.folder / "experts.json").read_text())
    assert record["detection"]["backend"] == "counting" and record["detection"]["weights"].startswith("looks (")
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(NONE))
    silent = Perception(experts_from=tmp_path / "new.yaml")
    with pytest.raises(
        ValueError, match=r"holds what other experts saw \(mine-\w+, .*\), not new-\w+; fill it with `moai"
    ):
        CachedPerception(silent, tmp_path / "cache", filled=True)
    CachedPerception(silent, tmp_path / "empty", filled=True)
    with pytest.raises(ValueError, match="given as an object, not by a preset"):
        CachedPerception(Perception(detection=lambda picture, scene: None), tmp_path / "cache")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        CachedPerception(silent, tmp_path / "file")


def test_a_damaged_entry_is_looked_at_anew_and_a_failure_is_not_kept(counting, tmp_path):
    look = cached(tmp_path)
    scene = look(picture(0))
    path = look.path(pixels_of(picture(0)).digest)
    for damage in (b"", path.read_bytes()[:-9], b"nonsense"):
        path.write_bytes(damage)
        assert look(picture(0)).detections == scene.detections
        assert look.kept(pixels_of(picture(0)).digest).detections == scene.detections
    dark = np.zeros((40, 50, 3), np.uint8)
    before = looks(tmp_path)
    assert "too dark" in look(dark).warnings[0] and "too dark" in look(dark).warnings[0]
    assert looks(tmp_path) == before + 4


def _keep_for_ever(look, scene):
    while True:
        for number in range(200):
            look.keep(f"{number % 7:032x}", scene)


def test_a_kill_leaves_nothing_half(counting, tmp_path):
    look = cached(tmp_path)
    scene = look(picture(0))
    pool = ProcessPoolExecutor(2, get_context("fork"))
    for _ in range(2):
        pool.submit(_keep_for_ever, look, scene)
    while len(list(look.folder.glob("*/*.json.z"))) < 8:
        time.sleep(0.01)
    for process in pool._processes.values():
        os.kill(process.pid, signal.SIGKILL)
    pool.shutdown(wait=True)
    for path in look.folder.glob("*/*.json.z"):
        assert look.kept(path.name.split(".")[0]) == scene


def test_many_pictures_are_looked_at_and_the_rest_is_told(counting, tmp_path):
    look = cached(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"1")
    pictures = [(str(number), picture(number)) for number in range(18)]
    pictures += [("dark", np.zeros((9, 9, 3), np.uint8)), ("broken", tmp_path / "broken.png")]
    done = list(fill(look, iter(pictures[:5])))
    assert done == [Looked(str(number), new=True) for number in range(5)]
    states = {one.name: one for one in fill(look, pictures)}
    assert sum(one.there for one in states.values()) == 5 and sum(one.new for one in states.values()) == 13
    assert "too dark" in states["dark"].problem and "broken.png is not a picture" in states["broken"].problem
    with pytest.raises(ValueError, match="no picture can be looked at: segmentation failed: its package is missing"):
        list(fill(cached(tmp_path, missing=1), pictures[:3]))
    with pytest.raises(ValueError, match="at least one worker is needed, got 0"):
        list(fill(look, pictures, workers=0))


def test_several_processes_look(tmp_path):
    (tmp_path / "none.yaml").write_text(yaml.safe_dump(NONE))
    look = CachedPerception(Perception(experts_from=tmp_path / "none.yaml"), tmp_path / "cache")
    for number in range(20):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
    pictures = [(str(number), tmp_path / f"{number}.png") for number in range(20)]
    broken = [(f"broken {number}", b"no picture") for number in range(OF_MANY)]
    looked = list(fill(look, [*broken, *pictures], workers=2))
    assert sorted(int(one.name) for one in looked if one.new) == list(range(20))
    assert {one.name for one in looked if one.problem is not None} == {name for name, _ in broken}
    assert all(one.there for one in fill(look, pictures))
