"""Detectors in the hub's format say what the library's own post-processing says."""

import numpy as np
import pytest
import torch
from PIL import Image

from perception import Perception, Scene
from perception.backends.hf_detection import Detections, Detector
from perception.expert import ExpertUnavailable
from tests.perception.hub import models

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (48, 72, 3), dtype=np.uint8)
OTHERS = [RNG.integers(0, 256, size, dtype=np.uint8) for size in ((48, 72, 3), (80, 50, 3), (3, 3, 3))]
LEAST = 0.1


def of_the_library(folder, picture: np.ndarray, threshold: float) -> list[tuple]:
    """Label, score and box in shares, surest first, as transformers' own documentation has it."""
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    network = AutoModelForObjectDetection.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    height, width = picture.shape[:2]
    with torch.no_grad():
        outputs = network(**processor(images=Image.fromarray(picture), return_tensors="pt"))
    found = processor.post_process_object_detection(outputs, threshold, target_sizes=[(height, width)])[0]
    rows = []
    for score, label, box in zip(found["scores"], found["labels"], found["boxes"], strict=True):
        shares = np.clip(box.double().numpy() / (width, height, width, height), 0, 1)
        name = network.config.id2label[label.item()]
        if name != "N/A" and (shares[2:] > shares[:2]).all():
            rows.append((name, score.item(), tuple(shares.tolist())))
    return sorted(rows, key=lambda row: -row[1])


@pytest.fixture(scope="module", params=["detr", "yolos", "rt_detr_v2", "d_fine"])
def folder(request, tmp_path_factory):
    return getattr(models, request.param)(tmp_path_factory.mktemp(request.param))


def test_words_equal_the_librarys_results(folder):
    scene = Perception("det", detection={"backend": "hf_detection", "weights": str(folder),
                                         "options": {"threshold": LEAST}}, device="cpu")(PICTURE)  # fmt: skip
    assert not scene.warnings
    rows = of_the_library(folder, PICTURE, LEAST)
    assert rows and [one.label for one in scene.detections] == [row[0] for row in rows]
    # Experts run on a thread of their own, where torch may sum in another order.
    for one, (_, score, box) in zip(scene.detections, rows, strict=True):
        assert (one.score, *one.box) == pytest.approx((score, *box), rel=1e-4, abs=1e-5)
    assert of_the_library(folder, PICTURE, 0.3) == [row for row in rows if row[1] > 0.3]


def test_a_batch_equals_single_pictures(folder):
    pictures = [PICTURE, *OTHERS]
    passes = []
    network = Detector(folder, threshold=LEAST, device="cpu")
    forward = network._forward
    network._forward = lambda inputs: passes.append(len(inputs["pixel_values"])) or forward(inputs)
    expert = Detections(network)
    expert.prepare(pictures)
    assert passes == [1] * 4
    for picture in pictures:
        together, alone = Scene(1, 1), Scene(1, 1)
        expert(picture, together)
        Detections(Detector(folder, threshold=LEAST, device="cpu"))(picture, alone)
        assert together.detections == alone.detections
    assert sum(passes) == 4


def test_pictures_of_one_shape_go_together_on_an_accelerator(folder):
    pictures = [PICTURE, *OTHERS]
    network, passes = Detector(folder, threshold=LEAST, device="cpu").load(), []
    network._on_cuda = lambda: True
    forward = network._forward
    network._forward = lambda inputs: passes.append(len(inputs["pixel_values"])) or forward(inputs)
    together = network.batch(pictures)
    assert sum(passes) == 4 and max(passes) >= 2
    for picture, found in zip(pictures, together, strict=True):
        alone = Detector(folder, threshold=LEAST, device="cpu")(picture)
        assert found.labels == alone.labels
        assert found.scores == pytest.approx(alone.scores, abs=1e-3)
        assert found.boxes == pytest.approx(alone.boxes, abs=1e-3)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return models.detr(tmp_path_factory.mktemp("detr"))


def test_scores_are_moved_to_where_words_begin(detector):
    plain = Detector(detector, threshold=LEAST, device="cpu")(PICTURE)
    cut = float(plain.scores[1])
    moved = Detector(detector, threshold=LEAST, spoken_from=cut, device="cpu")(PICTURE)
    assert moved.labels == plain.labels and moved.scores[1] == pytest.approx(0.5)
    assert (np.diff(moved.scores) <= 0).all() and moved.scores[0] > 0.5


def test_half_precision_is_near(detector):
    plain, half = (Detector(detector, 0.0, device="cpu", precision=one)(PICTURE) for one in ("fp32", "bf16"))
    assert np.sort(half.scores) == pytest.approx(np.sort(plain.scores), abs=0.05)
    assert (half.scores != plain.scores).any()


def test_a_group_that_does_not_fit_is_halved(detector):
    network = Detector(detector, threshold=LEAST, device="cpu").load()
    network._on_cuda = lambda: True
    forward, passes = network._forward, []

    def small(inputs):
        passes.append(len(inputs["pixel_values"]))
        if passes[-1] > 1:
            raise torch.OutOfMemoryError("no room")
        return forward(inputs)

    network._forward = small
    found = network.batch([PICTURE, OTHERS[0]])
    assert passes == [2, 1, 1]
    assert found[0].labels == Detector(detector, threshold=LEAST, device="cpu")(PICTURE).labels
    network._forward = lambda inputs: (_ for _ in ()).throw(torch.OutOfMemoryError("no room"))
    with pytest.raises(ExpertUnavailable, match="does not fit into the memory of cpu; choose a smaller one"):
        network(OTHERS[1])


def test_a_network_that_cannot_be_had_is_one_sentence(tmp_path, detector, monkeypatch):
    import shutil

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    headless = shutil.copytree(detector, tmp_path / "headless")
    from safetensors.torch import load_file, save_file

    state = load_file(detector / "model.safetensors")
    kept = {name: value for name, value in state.items() if not name.startswith("class_labels_classifier")}
    save_file(kept, headless / "model.safetensors", {"format": "pt"})
    cut = shutil.copytree(detector, tmp_path / "cut")
    (cut / "model.safetensors").write_bytes((detector / "model.safetensors").read_bytes()[:500])
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "empty").mkdir()
    for source, says in (
        ("nobody/nothing", "nobody/nothing is not on this machine and the hub is out of reach; run it once with a"),
        (str(tmp_path / "absent"), "does not exist; give the folder of a network for object detection, or its id"),
        (str(tmp_path / "empty"), "holds no network in the hub's format: config.json is missing"),
        (str(headless), "have no class_labels_classifier (Linear); it was saved for another task"),
        (str(cut), "cannot be read as a network for object detection ("),
        (str(other), "cannot be read as a network for object detection ("),
    ):
        scene = Perception("det", detection=f"hf_detection:{source}", device="cpu")(PICTURE)
        assert len(scene.warnings) == 1 and scene.warnings[0].startswith("detection failed: "), source
        assert says in scene.warnings[0] and "\n" not in scene.warnings[0]
        assert not scene.detections


def test_the_relation_head_works_behind_it(detector):
    given = {"backend": "hf_detection", "weights": str(detector), "options": {"spoken_from": 0.2}}
    scene = Perception("det,sgg", detection=given, device="cpu")(PICTURE)
    assert not scene.warnings and len(scene.objects) > 1
    # Detections from 0.5, then the stuff that takes part in a relation.
    told = [one.label for one in scene.detections if one.score >= 0.5]
    assert scene.objects[: len(told)] == told and len(scene.object_boxes) == len(scene.objects)
