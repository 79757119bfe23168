"""Nonsense of experts: what cannot be used stays outside of the scene, and a warning says so."""

import json

import numpy as np
import pytest

from perception import Detection, Perception, Relation, Scene, Segment, TextLine, verbalize
from perception.draw import draw
from perception.guard.door import MAX_ITEMS
from perception.registry import kinds
from perception.scene import Tag
from perception.words import MAX_CHARACTERS

PICTURE = np.full((48, 72, 3), 90, np.uint8)
WHOLE = (0.0, 0.0, 1.0, 1.0)
NAN = float("nan")
GOOD = Detection("cat", WHOLE, 0.9)


def gives(part: str, items):
    return lambda picture, scene: (
        scene.put(part, items) if part in ("tags", "possible") else setattr(scene, part, items)
    )


def nothing(picture, scene):
    pass


BAD = {
    "segmentation": [
        ("segments", [Segment("cat", WHOLE, 0.9, np.ones((3, 4), bool))], "mask is 3 x 4 in a picture of 48 x 72"),
        ("segments", [Segment("cat", WHOLE, 0.9, "mask")], "no boolean array"),
        ("segments", [Segment("cat", None, 0.9)], "is not (x1, y1, x2, y2)"),
    ],
    "detection": [
        ("detections", [Detection(None, WHOLE, 0.9)], "a label is None and no text"),
        ("detections", [Detection(7, WHOLE, 0.9)], "of type int"),
        ("detections", [Detection("\ud83d", WHOLE, 0.9)], "surrogate"),
        ("detections", [Detection("cat", WHOLE, NAN)], "a score is nan"),
        ("detections", [Detection("cat", WHOLE, 17)], "17 and not within 0..1"),
        ("detections", [Detection("cat", WHOLE, "0.9")], "of type str and no number"),
        ("detections", [Detection("cat", WHOLE, None)], "None and no number"),
        ("detections", [Detection("cat", (0, 0, NAN, 1), 0.9)], "nan"),
        ("detections", [Detection("cat", (0, 0, 300, 200), 0.9)], "300 and not within 0..1"),
        ("detections", [Detection("cat", (0.5, 0, 0.2, 1), 0.9)], "ends before it begins"),
        ("detections", [Detection("cat", (0, 1), 0.9)], "is not (x1, y1, x2, y2)"),
        ("detections", [("cat", WHOLE, 0.9)], "of type tuple and no Detection"),
        ("detections", [None], "None and no Detection"),
        ("detections", None, "None and no list"),
        ("detections", "cats", "of type str and no list"),
    ],
    "ocr": [
        ("text_lines", [TextLine("a\udfffb", 0.9)], "surrogate"),
        ("text_lines", [TextLine(b"bytes", 0.9)], "of type bytes"),
        ("text_lines", [TextLine("sign", 0.9, (-4, 0, 1, 1))], "-4 and not within"),
    ],
    "tags": [("tags", [Tag(None, 0.9)], "None and no text"), ("tags", [Tag("beach", float("inf"))], "inf")],
}


@pytest.mark.parametrize(
    ("kind", "part", "items", "says"), [(kind, *one) for kind, many in BAD.items() for one in many]
)
def test_what_cannot_be_used_stays_outside(kind, part, items, says):
    given = {"segmentation": nothing, "detection": nothing, "scene_graph": nothing, "ocr": nothing, "tags": nothing}
    scene = Perception(**given | {kind: gives(part, items)})(PICTURE)
    assert scene.part(part) == []
    assert len(scene.warnings) == 1 and says in scene.warnings[0] and "left out, because" in scene.warnings[0]
    assert verbalize(scene).strip() == "" and draw(PICTURE, scene).size
    json.dumps(scene.to_dict())
    # Somebody's own scene of the same things is said and drawn without them too.
    own = Scene(72, 48)
    gives(part, items)(PICTURE, own)
    assert draw(PICTURE, own).size
    if "mask" not in says:
        assert verbalize(own).strip() == ""


def test_the_rest_of_a_part_is_kept():
    items = [Detection("dog", WHOLE, NAN), GOOD, Detection(None, WHOLE, 0.9)]
    scene = Perception("det", detection=gives("detections", items))(PICTURE)
    assert scene.detections == [GOOD] and scene.detections[0] is not GOOD
    assert scene.warnings == ["detection: 2 of 3 detections left out, because a score is nan, which is no number"]


def test_numbers_of_numpy_and_rounded_ones_become_plain():
    box = np.array([0, -1e-7, 1.0000001, 1], np.float32)
    scene = Perception("det", detection=gives("detections", [Detection("cat", box, np.float32(1.0000001))]))(PICTURE)
    assert not scene.warnings and scene.detections == [Detection("cat", WHOLE, 1.0)]
    assert json.loads(json.dumps(scene.to_dict()))["detections"][0]["box"] == [0, 0, 1, 1]


def related(scene: Scene) -> list[tuple]:
    return [(scene.objects[one.subject], one.predicate, scene.objects[one.object]) for one in scene.relations]


def test_relations_point_to_objects_that_are_there():
    def relate(picture, scene):
        scene.objects, scene.object_boxes = ["cat", None, "mat"], [WHOLE] * 3
        ends = [(0, 2), (0, 1), (0, 3), (-1, 0), (None, 0), (0.0, 2)]
        scene.relations = [Relation(subject, "on", other, 0.9) for subject, other in ends]

    scene = Perception("det,sgg", detection=nothing, scene_graph=relate)(PICTURE)
    assert scene.objects == ["cat", "mat"] and scene.object_boxes == [WHOLE] * 2
    assert related(scene) == [("cat", "on", "mat")]
    assert [warning.split(",")[0] for warning in scene.warnings] == [
        "the scene graph: 1 of 3 objects left out",
        "the scene graph: 2 of 6 relations left out",
        "the scene graph: 3 of 4 relations left out",
    ]
    assert "cat is on mat" in verbalize(scene) and draw(PICTURE, scene).size


def test_object_boxes_are_one_for_each_object():
    def relate(picture, scene):
        scene.objects, scene.object_boxes = ["cat", "mat"], [WHOLE]
        scene.relations = [Relation(0, "on", 1, 0.9)]

    scene = Perception("det,sgg", detection=nothing, scene_graph=relate)(PICTURE)
    assert scene.object_boxes == [] and related(scene) == [("cat", "on", "mat")]
    assert "not one for each object" in scene.warnings[0]


def test_endless_parts_and_texts_have_an_end():
    lines = [TextLine(f"line {number} " * 20, 0.99, WHOLE) for number in range(2 * MAX_ITEMS)]
    scene = Perception("ocr", ocr=gives("text_lines", lines))(PICTURE)
    assert len(scene.text_lines) == MAX_ITEMS and "at most 10,000" in scene.warnings[0]
    words = verbalize(scene)
    assert MAX_CHARACTERS - 400 < len(words.strip()) <= MAX_CHARACTERS and words.endswith(".")
    assert len(verbalize(Scene(9, 9, text_lines=[TextLine("x" * 2_000_000, 0.99)])).strip()) == MAX_CHARACTERS


def test_every_kind_can_be_left_with_nothing():
    scene = Scene(72, 48)
    for kind in kinds():
        for part in kind.parts:
            scene.put(part.name, [None, object(), 3, "\udc00"])
    assert verbalize(scene).strip() == ""
