"""Which experts an assistant listens to: its model's preset, another, or those that it is given."""

import json

import pytest

from moai.assistant import MoAI
from moai.models.configuration import MoAIConfig
from perception import Perception
from weights import NANO


def copied(model_folder, folder, **fields):
    for file in model_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_the_model_names_its_preset(model_folder, tmp_path):
    assert json.loads((NANO / "config.json").read_text())["experts_from"] == "drawn"
    assert json.loads((model_folder / "config.json").read_text())["experts_from"] == "drawn"
    assistant = MoAI.from_pretrained(copied(model_folder, tmp_path, experts_from="yolo"), device="cpu")
    assert assistant.perception.experts_from == "yolo"
    assert assistant.perception.experts == ("segmentation", "detection", "ocr")
    old = json.loads((tmp_path / "config.json").read_text())
    del old["experts_from"]
    assert MoAIConfig(**old).experts_from == "drawn"


def test_another_preset_takes_its_place(model_folder):
    assistant = MoAI.from_pretrained(model_folder, device="cpu", experts_from="yolo", experts="seg")
    assert (assistant.perception.experts_from, assistant.perception.experts) == ("yolo", ("segmentation",))
    assistant = MoAI.from_pretrained(model_folder, device="cpu", experts_from={"ocr": "rapidocr"})
    assert assistant.perception.experts == ("ocr",)


def test_single_experts_are_replaced(model_folder):
    assistant = MoAI.from_pretrained(model_folder, device="cpu", detection="hf_detection:some/detector")
    entry = assistant.perception._builder.entries["detection"]
    assert (entry.backend, entry.weights) == ("hf_detection", "some/detector")
    assert assistant.perception.experts == ("segmentation", "detection", "scene_graph", "ocr")
    with pytest.raises(ValueError, match="unknown expert 'quantise'"):
        MoAI.from_pretrained(model_folder, quantise="int8")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"experts_from": "photos"}, "unknown preset of experts 'photos'; allowed are drawn, "),
        ({"experts_from": "yolo", "experts": "sgg"}, "has no scene_graph; it has segmentation, detection, ocr"),
        ({"experts_from": "yolo", "perception": Perception(())}, "give experts_from or perception, not both"),
        ({"perception": Perception("ocr"), "experts": "seg"}, "segmentation was not loaded; loaded are ocr"),
    ],
)
def test_what_cannot_be_is_one_sentence(model_folder, settings, says):
    with pytest.raises(ValueError) as caught:
        MoAI.from_pretrained(model_folder, device="cpu", **settings)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("named", ["photos", "/etc/experts.yaml"])
def test_a_model_may_name_presets_alone(model_folder, tmp_path, named):
    with pytest.raises(ValueError, match=f"the model names the preset of experts '{named}', which is not here"):
        MoAI.from_pretrained(copied(model_folder, tmp_path, experts_from=named), device="cpu")


def test_the_device_reaches_the_experts(model_folder):
    assert MoAI.from_pretrained(model_folder, device="cpu").perception.device == "cpu"


def test_experts_narrow_a_perception_that_is_given(model_folder):
    given = Perception(experts="ocr,seg,det")
    assistant = MoAI.from_pretrained(model_folder, experts="ocr,det", device="cpu", perception=given)
    assert assistant.perception.experts == ("detection", "ocr")
    assert given.experts == ("segmentation", "detection", "ocr")
    assert MoAI.from_pretrained(model_folder, device="cpu", perception=given).perception is given
