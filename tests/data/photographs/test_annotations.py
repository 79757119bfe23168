"""Folders of photographs are read as people annotated them, packed or not, and what is wrong is said."""

import json

import pytest

from moai.data.photographs.annotations import read_photographs
from moai.data.photographs.pack import main
from moai.data.skipped import Skipped
from perception import Detection, Perception, Scene, load_image
from perception.cache import CachedPerception
from perception.images import pixels_of
from tests.data.photographs.conftest import RECORDS, write


def test_a_record_is_read_with_boxes_as_shares(folder):
    park, street, receipt, room = read_photographs(folder)
    assert (park.width, park.height, park.dataset, park.exhaustive) == (200, 120, "COCO", True)
    assert park.boxes[0].box == pytest.approx((0.05, 0.5, 0.25, 100 / 120))
    assert [one.crowd for one in park.boxes] == [False, False, False, True]
    assert park.captions[0] == "Two dogs run beside a man ." and not street.caption_pairs
    assert receipt.text_lines[1].text == "TOTAL 9.00" and receipt.fields["total"] == "9.00"
    assert room.questions[0]["answer"] == "lamp, book" and not room.exhaustive and room.scene is None


def test_wrong_records_are_passed_over_and_told(folder):
    bad = [{"file": "pictures/gone.png", "width": 9, "height": 9}, {"file": "pictures/park.png"}, 7]
    bad += [RECORDS[1] | {"boxes": [{"label": "car", "box": [1, 2, 3]}]}]
    bad += [RECORDS[1] | {"scene": {"width": 1, "height": 1, "seen": 3}}, RECORDS[1] | {"captions": 3}]
    (folder / "annotations.json").write_text(json.dumps({"pictures": [RECORDS[0], *bad]}))
    skipped = Skipped("photographs skipped")
    assert len(read_photographs(folder, skipped)) == 1
    assert skipped.sentence().startswith("photographs skipped: 4 (pictures/gone.png: its picture")


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "holds no photographs"), ("{", "holds no annotations"), ('{"pictures": 3}', "must be a list"),
     ('{"pictures": []}', "no photograph of")],
)  # fmt: skip
def test_a_broken_folder_is_one_sentence(tmp_path, text, said):
    if text is not None:
        (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_photographs(tmp_path)


def test_a_packed_folder_is_read_in_place_with_what_experts_saw(tmp_path, capsys):
    scene = Scene(200, 120, detections=[Detection("dog", (0.1, 0.2, 0.3, 0.4), 0.9)])
    folder = write(tmp_path / "one", [RECORDS[0] | {"scene": scene.to_dict(exact=True)}, *RECORDS[1:]])
    target = tmp_path / "packed"
    assert main([str(folder), str(target), "--side", "64", "--part", "0.0001"]) == 0
    assert "4 parts" in capsys.readouterr().out
    packed, whole = read_photographs(target), read_photographs(folder)
    assert [one.boxes for one in packed] == [one.boxes for one in whole]
    assert load_image(packed[0].read()).size == (64, 64) and packed[0].width == 200
    assert packed[0].scene == scene and packed[1].scene is None
    assert main([str(folder), str(target)]) == 1 and "parts already" in capsys.readouterr().err
    (target / "parts-000.zip").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged"):
        packed[0].read()
    with pytest.raises(ValueError, match="damaged"):
        read_photographs(target)


def test_packing_looks_at_the_original(tmp_path):
    folder, target = write(tmp_path / "one", [RECORDS[0], RECORDS[1] | {"squashed": True}]), tmp_path / "packed"
    scene = Scene(200, 120, detections=[Detection("dog", (0.1, 0.2, 0.3, 0.4), 0.9)])
    for name in ("none", "nobody"):
        (tmp_path / f"{name}.yaml").write_text("{}")
        seen = CachedPerception(Perception(experts_from=tmp_path / f"{name}.yaml"), tmp_path / "seen")
    seen.keep(pixels_of(folder / RECORDS[1]["file"]).digest, scene)
    given = ["--cache", str(tmp_path / "seen"), "--experts-from", str(tmp_path / "none.yaml")]
    assert main([str(folder), str(target), *given, "--squashed-from", str(tmp_path / "nobody.yaml")]) == 0
    park, street = read_photographs(target)
    assert (park.scene.width, park.scene.height, park.scene.detections) == (200, 120, [])
    assert street.scene == scene
