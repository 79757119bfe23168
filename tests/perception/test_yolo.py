"""YOLO networks in our format and in ultralytics' own."""

import os

import numpy as np
import pytest
import torch

from perception import Scene
from perception.backends.yolo import YoloDetection, YoloSegmentation
from perception.expert import ExpertUnavailable
from perception.networks.yolo import Found, Yolo, calibrated, without_doubles
from tests.perception.networks import NAMES, save_untrained, untrained

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 72, 3), dtype=np.uint8)
OTHER = np.random.default_rng(1).integers(0, 256, (80, 50, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def network(folder):
    return Yolo(folder, device="cpu")


def check(found: Found, picture: np.ndarray) -> None:
    count = len(found.labels)
    assert count > 0 and set(found.labels) <= set(NAMES)
    assert found.scores.shape == (count,) and (np.diff(found.scores) <= 0).all()
    assert found.boxes.shape == (count, 4) and found.boxes.min() >= 0 and found.boxes.max() <= 1
    assert found.masks.shape == (count, *picture.shape[:2]) and found.masks.dtype == bool


def test_our_format(network, folder):
    assert network.names == list(NAMES) and network.draws_masks
    assert network.stuff == {"grass"} and network.imgsz == 64
    check(network(PICTURE), PICTURE)
    assert not list(folder.glob("*.pt"))


def test_saved_weights_are_the_network(folder):
    from perception.networks.yolo import build_network

    original, loaded = untrained().state_dict(), build_network(folder)[0].state_dict()
    assert original.keys() == loaded.keys()
    for name, value in original.items():
        assert torch.allclose(value.float(), loaded[name].float(), rtol=1e-3, atol=1e-4)


def test_a_batch_equals_single_pictures(folder):
    pictures = [PICTURE, OTHER, 255 - PICTURE, PICTURE]
    for picture, found in zip(pictures, Yolo(folder, device="cpu").batch(pictures), strict=True):
        alone = Yolo(folder, device="cpu")(picture)
        check(found, picture)
        assert found.labels == alone.labels
        for name in ("scores", "boxes", "masks"):
            assert np.array_equal(getattr(found, name), getattr(alone, name))


def test_pictures_of_one_shape_go_together_on_an_accelerator(folder, monkeypatch):
    network, passes = Yolo(folder, device="cpu").load(), []
    monkeypatch.setattr(network, "_on_cuda", lambda: True)
    monkeypatch.setattr(network, "_pass", lambda pictures: passes.append(len(pictures)) or list(map(np.mean, pictures)))
    pictures = [PICTURE, OTHER, 255 - PICTURE]
    assert network.batch(pictures) == list(map(np.mean, pictures))
    assert passes == [2, 1]


def test_a_picture_is_looked_at_once(folder, monkeypatch):
    network = Yolo(folder, device="cpu")
    runs = []
    run = network._run
    monkeypatch.setattr(network, "_run", lambda pictures: runs.append(len(pictures)) or run(pictures))
    scene = Scene(72, 48)
    for expert in (YoloSegmentation(network), YoloDetection(network)):
        expert.prepare([PICTURE, OTHER])
        expert(PICTURE, scene)
    assert runs == [2]
    assert {one.label for one in scene.detections} <= set(NAMES) - {"grass"}
    assert {one.label for one in scene.segments} <= {"person", "dog", "grass"}
    for segment in scene.segments:
        assert segment.mask.shape == (48, 72)


def test_a_batch_is_remembered_until_its_pictures_were_asked_for(folder, monkeypatch):
    network = Yolo(folder, device="cpu")
    pictures = [np.full((40, 40, 3), shade, np.uint8) for shade in range(0, 200, 20)]
    network.batch(pictures)
    monkeypatch.setattr(network, "_run", lambda pictures: pytest.fail("looked at a picture again"))
    for picture in pictures:
        network(picture)


def test_large_pictures_are_reduced_and_masks_grow_back(network):
    large = np.kron(PICTURE, np.ones((30, 30, 1), np.uint8))
    check(network(large), large)


def test_ultralytics_weights_by_path(tmp_path):
    from ultralytics import YOLO

    path = tmp_path / "own.pt"
    model = YOLO("yolo11n.yaml", verbose=False)
    model.save(path)
    network = Yolo(path, imgsz=64, device="cpu")
    assert len(network.names) == 80 and not network.draws_masks
    assert network(PICTURE).masks is None
    with pytest.raises(ExpertUnavailable, match="-seg"):
        YoloSegmentation(network)(PICTURE, Scene(72, 48))


class Code:
    """What a pickle runs when it is loaded: it makes a folder."""

    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return os.mkdir, (str(self.made),)


@pytest.mark.parametrize(
    ("archive", "says"), [(True, "trust_pickle: true .* safetensors"), (False, "could not be read")]
)
def test_code_in_a_pickle_runs_only_when_it_is_trusted(archive, says, tmp_path):
    made, path = tmp_path / "made", tmp_path / "foreign.pt"
    torch.save({"model": Code(made)}, path, _use_new_zipfile_serialization=archive)
    with pytest.raises(ExpertUnavailable, match=says):
        Yolo(path)(PICTURE)
    assert not made.exists()
    with pytest.raises(ExpertUnavailable, match="could not be read"):
        Yolo(path, trust_pickle=True)(PICTURE)
    assert made.exists()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("missing/folder", "no trained detector"),
        ("missing/file.pt", "does not exist"),
        ("broken.pt", "could not be read"),
        ("PekingU/rtdetr", "allowed are a folder with .*, and the path or name of ultralytics weights"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(source, says, tmp_path):
    path = tmp_path / source
    if source == "broken.pt":
        path.write_bytes(b"not weights")
    with pytest.raises(ExpertUnavailable, match=says) as caught:
        Yolo(path)(PICTURE)
    assert "train" not in str(caught.value).replace("trained", "")


def test_calibration_moves_the_best_cut_to_one_half():
    power = np.log(0.5) / np.log(0.35)
    assert calibrated(np.array([0.35, 1.0]), power) == pytest.approx([0.5, 1.0])


def test_doubles():
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.49], [0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    found = Found(["bear", "dog", "grass", "bear"], np.array([0.9, 0.8, 0.7, 0.6]), boxes, None)
    assert without_doubles(found, frozenset({"grass"})).labels == ["bear", "grass", "bear"]
