"""Presets: which backends and weights run the experts."""

from pathlib import Path

import pytest
import yaml

from perception import Perception
from perception.presets import Entry, load_preset, preset_experts, preset_names
from weights import WEIGHTS


def test_the_presets_that_come_along():
    assert {"drawn", "hub", "hub_large", "hub_small", "reference", "yolo"} <= set(preset_names())
    for name in preset_names():
        assert load_preset(name).entries
    drawn = load_preset("drawn").entries
    assert list(drawn) == ["segmentation", "detection", "scene_graph", "ocr"]
    assert drawn["detection"] == Entry("yolo", str(WEIGHTS / "detector"))
    assert Path(drawn["scene_graph"].weights) == WEIGHTS / "relations"
    assert drawn["ocr"] == Entry("rapidocr")
    assert "scene_graph" not in load_preset("yolo").entries


def test_files_and_mappings(tmp_path):
    record = {
        "det": {"backend": "yolo", "weights": "./own.pt", "options": {"threshold": 0.3, "imgsz": 320}},
        "ocr": {"backend": "rapidocr", "options": {"engines": 2}},
        "scene_graph": False,
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(record))
    entries = load_preset(file).entries
    assert list(entries) == ["detection", "ocr"]
    assert entries["detection"] == Entry("yolo", str(tmp_path / "own.pt"), {"threshold": 0.3, "imgsz": 320})
    assert load_preset(record).entries["detection"].weights == "./own.pt"
    assert Perception(experts_from=str(file)).experts == ("detection", "ocr")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"depth": "yolo"}, "unknown expert 'depth'; allowed are segmentation (seg), detection (det)"),
        ({"ocr": "tesseract"}, "unknown OCR backend 'tesseract'; allowed are rapidocr, paddleocr"),
        ({"ocr": {"weights": "x"}}, "unknown OCR backend None; allowed are rapidocr, paddleocr"),
        ({"ocr": 5}, "ocr must be a backend's name (rapidocr, paddleocr) or a mapping with backend, weights"),
        ({"ocr": {"backend": "rapidocr", "weight": 1}}, "unknown key 'weight'; allowed are backend, weights, options"),
        ({"ocr": {"backend": "rapidocr", "weights": "x"}}, "rapidocr brings its own weights"),
        ({"ocr": {"backend": "rapidocr", "options": {"speed": 2}}}, "has no option 'speed'; allowed are engines"),
        ({"ocr": {"backend": "rapidocr", "options": {"engines": "2"}}}, "must be a whole number from 1 to 8"),
        ({"ocr": {"backend": "rapidocr", "options": ["engines"]}}, "the options of ocr must map names to values"),
        ({"ocr": {"backend": "paddleocr", "options": {"x": 1}}}, "paddleocr has no option 'x'; allowed are lang, ocr_"),
        ({"ocr": {"backend": "paddleocr", "options": {"lang": "de de"}}}, "must be a language as PaddleOCR calls it"),
        ({"ocr": {"backend": "rapidocr", "options": {"lang": "klingon"}}}, "allowed are ch, ch_doc, en, arabic"),
        ({"ocr": {"backend": "rapidocr", "options": {"turned_lines": 1}}}, "is 1; allowed are true, false"),
        ({"det": {"backend": "yolo", "weights": "a.pt", "options": {"threshold": True}}}, "a number from 0.001 to 1"),
        ({"det": {"backend": "yolo", "weights": "a.pt", "options": {"imgsz": 1.5}}}, "a whole number from 32 to"),
        ({"det": "yolo"}, "yolo needs weights for detection: a folder of a network trained here, or the path"),
        ({"det": "relation_head"}, "unknown detection backend 'relation_head'; allowed are yolo"),
        (["ocr"], "must map kinds of experts (segmentation, detection, scene_graph, ocr) to backends"),
        (None, "must map kinds of experts"),
        ({5: "yolo"}, "unknown expert '5'"),
    ],
    ids=str,
)
def test_bad_presets_are_one_sentence(record, says, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(record))
    with pytest.raises(ValueError) as caught:
        Perception(experts_from=file)
    assert says in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_presets_that_cannot_be_read_are_one_sentence(tmp_path):
    broken, binary = tmp_path / "broken.yaml", tmp_path / "binary.yaml"
    broken.write_text("ocr: {backend: [\n")
    binary.write_bytes(b"\xff\xfe\x00ocr")
    for source, says in (
        ("phot", "unknown preset of experts 'phot'; allowed are drawn, hub, hub_large"),
        ("", "unknown preset of experts ''"),
        (tmp_path / "absent.yaml", "cannot be read (No such file or directory); allowed are drawn"),
        (tmp_path, "unknown preset of experts"),
        (broken, "is not valid YAML at line 2"),
        (binary, "is not valid YAML"),
    ):
        with pytest.raises(ValueError) as caught:
            load_preset(source)
        assert says in str(caught.value) and "\n" not in str(caught.value)


def test_single_experts_are_replaced(tmp_path):
    def entries(**given):
        return Perception(**given)._builder.entries

    assert entries(segmentation="a-seg.pt")["segmentation"] == Entry("yolo", "a-seg.pt")
    assert entries(scene_graph=tmp_path)["scene_graph"] == Entry("relation_head", str(tmp_path))
    assert entries(ocr="paddleocr")["ocr"] == Entry("paddleocr")
    own = {"detection": {"backend": "yolo", "weights": "a.pt", "options": {"imgsz": 320}}}
    assert entries(experts_from=own, detection="b.pt")["detection"] == Entry("yolo", "b.pt", {"imgsz": 320})
    assert entries(experts_from=own, ocr={"backend": "rapidocr"})["ocr"] == Entry("rapidocr")
    assert Perception(experts_from=own, segmentation="a-seg.pt").experts == ("segmentation", "detection")
    with pytest.raises(ValueError, match="detection cannot be 5; give weights, a backend's name or an Expert"):
        Perception(detection=5)
    with pytest.raises(ValueError, match="unknown expert 'depth'"):
        Perception(depth="a.pt")


def test_experts_of_one_source_share_a_network_on_the_device():
    builder = Perception(device="cpu")._builder
    network = builder.expert("detection").network
    assert builder.expert("segmentation").network is builder.expert("scene_graph").network is network
    assert network.device == "cpu"
    mixed = Perception(detection={"backend": "yolo", "weights": str(WEIGHTS / "detector"), "options": {"imgsz": 640}})
    other = mixed._builder.expert("detection").network
    assert other is not mixed._builder.expert("segmentation").network and other.imgsz == 640
    assert mixed._builder.expert("scene_graph").network is other
    unseen = Perception(detection=lambda picture, scene: None)._builder
    assert unseen.expert("scene_graph").network is None


def test_experts_that_a_preset_leaves_out_are_not_there():
    assert Perception(experts_from="yolo").experts == ("segmentation", "detection", "ocr")
    with pytest.raises(ValueError, match="the preset of experts yolo has no scene_graph; it has segmentation"):
        Perception("sgg", experts_from="yolo")


def test_the_experts_of_a_preset():
    assert preset_experts("drawn") == ("segmentation", "detection", "scene_graph", "ocr")
    assert "tags" in preset_experts("hub") and "scene_graph" not in preset_experts("yolo")
    assert preset_experts("not-here") == preset_experts("drawn")
