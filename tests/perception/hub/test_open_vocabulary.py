"""Open-vocabulary detectors in the hub's format say what the library's own post-processing says."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from perception import Perception, Scene
from perception.backends.hf_detection import Detections
from perception.backends.hf_open_vocabulary import OpenVocabulary
from perception.expert import ExpertUnavailable
from perception.networks.vocabulary import names_of
from tests.perception.hub import models

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (48, 72, 3), dtype=np.uint8)
OTHERS = [RNG.integers(0, 256, size, dtype=np.uint8) for size in ((48, 72, 3), (80, 50, 3))]
LABELS = ["cat", "red car", "dog", "tree"]
LEAST = 0.1


def of_the_library(folder, picture: np.ndarray, *parts: list[str]) -> list[tuple]:
    """Label, score and box in shares, surest first, as transformers' own documentation has it; a pass for each part."""
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    network = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    height, width = picture.shape[:2]
    rows = []
    for labels in parts:
        inputs = processor(text=[labels], images=Image.fromarray(picture), return_tensors="pt")
        with torch.no_grad():
            outputs = network(**inputs)
        found = processor.post_process_grounded_object_detection(
            outputs, threshold=LEAST, target_sizes=[(height, width)], text_labels=[labels]
        )[0]
        for score, label, box in zip(found["scores"], found["text_labels"], found["boxes"], strict=True):
            shares = np.clip(box.double().numpy() / (width, height, width, height), 0, 1)
            if label and (shares[2:] > shares[:2]).all():
                rows.append((label, score.item(), tuple(shares.tolist())))
    return sorted(rows, key=lambda row: -row[1])


@pytest.fixture(scope="module", params=["owlv2", "owlvit", "grounding_dino"])
def folder(request, tmp_path_factory):
    return getattr(models, request.param)(tmp_path_factory.mktemp(request.param))


def test_words_equal_the_librarys_results(folder):
    options = {"labels": LABELS, "threshold": LEAST}
    given = {"backend": "hf_open_vocabulary", "weights": str(folder), "options": options}
    scene = Perception("det", detection=given, device="cpu")(PICTURE)
    assert not scene.warnings
    # Grounding DINO has room for ten tokens.
    parts = [LABELS[:3], LABELS[3:]] if "dino" in folder.name else [LABELS]
    scores = [one.score for one in scene.detections]
    assert len(scores) > 1 and scores == sorted(scores, reverse=True)
    # Scores that are nearly equal may change places with the number of threads; boxes are far enough apart.
    found = sorted(scene.detections, key=lambda one: one.box)
    rows = sorted(of_the_library(folder, PICTURE, *parts), key=lambda row: row[2])
    assert [one.label for one in found] == [row[0] for row in rows]
    for one, (_, score, box) in zip(found, rows, strict=True):
        assert one.score == pytest.approx(score, abs=1e-6) and one.box == pytest.approx(box, abs=1e-6)


def test_a_batch_equals_single_pictures(folder):
    pictures = [PICTURE, *OTHERS]
    together = OpenVocabulary(folder, LABELS, threshold=LEAST, device="cpu").batch(pictures)
    single = OpenVocabulary(folder, LABELS, threshold=LEAST, device="cpu")
    for picture, found in zip(pictures, together, strict=True):
        alone = single(picture)
        assert found.labels == alone.labels
        assert found.scores == pytest.approx(alone.scores, abs=1e-3)
        assert found.boxes == pytest.approx(alone.boxes, abs=1e-3)


@pytest.fixture(scope="module")
def owl(tmp_path_factory):
    return models.owlv2(tmp_path_factory.mktemp("owl"))


def test_prompts_are_encoded_once_and_in_parts(owl, monkeypatch):
    monkeypatch.setattr("perception.backends.hf_open_vocabulary._AT_ONCE", 2)
    network = OpenVocabulary(owl, LABELS, threshold=LEAST, device="cpu").load()
    text = network._model.network.base_model.text_model
    text.forward = lambda *_, **__: pytest.fail("the prompts were encoded again")
    expert, scene = Detections(network), Scene(1, 1)
    for picture in (PICTURE, *OTHERS):
        expert(picture, scene)
    assert {one.label for one in scene.detections} <= set(LABELS)
    monkeypatch.undo()
    assert network(PICTURE).labels == OpenVocabulary(owl, LABELS, threshold=LEAST, device="cpu")(PICTURE).labels


def test_a_template_holds_the_name(owl):
    plain = OpenVocabulary(owl, [f"photo of a {name}" for name in LABELS], threshold=LEAST, device="cpu")(PICTURE)
    made = OpenVocabulary(owl, LABELS, "photo of a {}", threshold=LEAST, device="cpu")(PICTURE)
    assert [f"photo of a {label}" for label in made.labels] == plain.labels
    assert (made.scores == plain.scores).all()


def test_names_come_from_where_a_person_has_them(tmp_path, owl):
    (tmp_path / "names.txt").write_text("oak\n\nred kite, Milvus milvus\n")
    (tmp_path / "names.json").write_text(json.dumps({"10": "third", "2": "second", "0": "wall, side"}))
    assert names_of(["own name", str(tmp_path / "names.txt")]) == ["own name", "oak", "red kite"]
    assert names_of(str(tmp_path / "names.json")) == ["wall", "second", "third"]
    assert len(names_of("coco")) == 80 and names_of("coco")[0] == "person"
    assert len(names_of("imagenet")) == 1000 and names_of(["imagenet"])[0] == "tench"
    preset = tmp_path / "mine.yaml"
    record = {"backend": "hf_open_vocabulary", "weights": str(owl), "options": {"labels": ["./names.txt", "x"]}}
    preset.write_text(json.dumps({"det": record}))
    expert = Perception(experts_from=preset)._builder.expert("detection")
    assert names_of(expert.network.labels) == ["oak", "red kite", "x"]
    assert OpenVocabulary(owl, device="cpu").load()._model.reader.names == names_of("coco")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("/no/names.txt", "the names in /no/names.txt cannot be read (No such file or directory)"),
        ("hub:nobody/nothing/names.json", "nobody/nothing/names.json is not on this machine and the hub is out of"),
        ("EMPTY.txt", "holds no names; it must have a name on each line"),
        ("BROKEN.json", "holds no names: it is not valid JSON"),
    ],
)
def test_names_that_cannot_be_had_are_one_sentence(owl, tmp_path, monkeypatch, labels, says):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "EMPTY.txt").write_text("\n")
    (tmp_path / "BROKEN.json").write_text("{")
    source = str(tmp_path / labels) if labels[0].isupper() else labels
    with pytest.raises(ExpertUnavailable) as caught:
        OpenVocabulary(owl, source, device="cpu")(PICTURE)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"labels": []}, "the option labels must be a name, coco (its 80 things), imagenet"),
        ({"labels": ["cat", 5]}, "or a list of such"),
        (
            {"template": "a photo"},
            "the option template is 'a photo'; it must be a text with {}",
        ),
        ({"precision": "int8"}, "the option precision is 'int8'; allowed are fp32, fp16, bf16"),
    ],
)
def test_bad_options_are_one_sentence(options, says):
    given = {"backend": "hf_open_vocabulary", "weights": "some/owl", "options": options}
    with pytest.raises(ValueError) as caught:
        Perception("det", detection=given)
    assert says in str(caught.value) and "\n" not in str(caught.value)
