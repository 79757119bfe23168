"""The figures of experts on photographs that people boxed."""

import pytest

from benchmarks.detection import calibration_error, measure
from perception import Detection, Relation, Scene
from perception.scene import Tag

RECORD = {
    "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 100}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "person"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 40, 20, 20], "area": 400, "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 2, "bbox": [70, 40, 20, 20], "area": 400, "iscrowd": 0},
        {"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 100, 30], "area": 3000, "iscrowd": 1},
    ],
}


def test_figures_of_a_scene():
    pytest.importorskip("pycocotools")
    scene = Scene(
        100,
        100,
        detections=[
            Detection("cat", (0, 0.4, 0.2, 0.6), 0.9),
            Detection("dog", (0.7, 0.4, 0.9, 0.6), 0.6),
            Detection("dog", (0.2, 0.8, 0.3, 0.9), 0.55),
            Detection("person", (0.1, 0.1, 0.2, 0.2), 0.7),  # in a crowd: neither right nor wrong
        ],
        objects=["cat", "dog"],
        object_boxes=[(0, 0.4, 0.2, 0.6), (0.7, 0.4, 0.9, 0.6)],
        relations=[Relation(0, "left of", 1, 0.9), Relation(1, "above", 0, 0.9), Relation(0, "right of", 1, 0.5)],
        more={"possible": [Tag("cat", 0.9), Tag("person", 0.4)]},
    )
    figures = measure(RECORD, {7: scene})
    assert figures["boxes said: precision"] == pytest.approx(2 / 3)
    assert figures["boxes said: recall"] == 1
    assert figures["labels said: precision"] == figures["labels said: recall"] == 1
    assert figures["labels possible: recall"] == pytest.approx(2 / 3)
    assert figures["relations said of right boxes: right"] == 0.5
    assert figures["AP"] == pytest.approx(1)
    assert figures["boxes: calibration error"] == pytest.approx((0.1 + 0.4 + 0.55) / 3)
    assert figures["labels possible: calibration error"] == pytest.approx(0.35)


def test_calibration_error():
    assert calibration_error([0.25] * 4, [True, False, False, False]) == 0
    assert calibration_error([0.95, 0.95], [True, False]) == pytest.approx(0.45)
