"""The experts of the preset `photo` that are not others' too: NanoDet, possible things, and where boxes stand."""

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from perception import Detection, Perception, Scene, verbalize
from perception.backends.geometry import BoxGeometry
from perception.boxes import side_of
from perception.networks.nanodet import NanoDet, boxes_of, cell_centres
from perception.scene import Tag
from weights import WEIGHTS

FOLDER = WEIGHTS / "nanodet"


@pytest.fixture(scope="module")
def look():
    return Perception("det,sgg,maybe", experts_from="photo")


@pytest.fixture(scope="module")
def bus(look):
    assets = Path(pytest.importorskip("ultralytics").__file__).parent / "assets"
    return look(assets / "bus.jpg")


def labels(scene: Scene) -> set[str]:
    return {one.label for one in scene.detections if one.score >= 0.5}


def test_things_of_photographs_are_found(look, bus):
    assert {"bus", "person"} <= labels(bus)
    assert labels(look(data.chelsea())) == {"cat"}
    assert labels(look(data.astronaut())) == {"person"}
    coffee = look(data.coffee())
    assert "cup" in {one.label for one in coffee.part("possible")} and "cup" in verbalize(coffee)
    assert not coffee.warnings


def test_boxes_are_sorted_shares_down_to_unsure_ones(bus):
    scores = [one.score for one in bus.detections]
    assert scores == sorted(scores, reverse=True) and 0.05 <= scores[-1] < 0.1 and 0.5 < scores[0] <= 1
    assert all(0 <= low < high <= 1 for one in bus.detections for low, high in zip(one.box, one.box[2:], strict=False))
    x1, y1, x2, y2 = bus.detections[0].box
    assert bus.detections[0].label == "bus" and x1 < 0.1 and x2 > 0.9 and 0.1 < y1 < 0.35 and 0.6 < y2 < 0.8


def test_several_pictures_go_through_at_once():
    network = NanoDet(FOLDER)
    pictures = [data.chelsea(), data.chelsea()[:200, :150], data.chelsea()[:, :150]]
    together = network.batch(pictures)
    for picture, found in zip(pictures, together, strict=True):
        (alone,) = network._run([picture])
        assert alone.labels == found.labels
        assert np.array_equal(alone.boxes, found.boxes) and np.array_equal(alone.scores, found.scores)


def test_small_pictures_are_looked_at_once():
    network = NanoDet(FOLDER).load()
    assert network._views(np.zeros((300, 416, 3), np.uint8)) == [(0, 0, 416, 300)]
    assert network._views(np.zeros((300, 600, 3), np.uint8)) == [(0, 0, 600, 300), (0, 0, 360, 300), (240, 0, 600, 300)]
    assert network._views(np.zeros((600, 500, 3), np.uint8))[1:] == [(0, 0, 500, 500), (0, 100, 500, 600)]
    assert len(NanoDet(FOLDER, close_looks=False).load()._views(np.zeros((900, 900, 3), np.uint8))) == 1


def test_what_a_close_look_cuts_is_left_to_the_whole_picture():
    network = NanoDet(FOLDER).load()
    scores, distances = np.zeros((3549, 80), np.float32), np.full((3549, 4), 2.0, np.float32)
    cell = 26 * 52 + 50  # its box ends at x 420, beyond the right edge
    scores[cell, 0] = 0.9
    frame, right, left = (0, 0, 416, 416), (184, 0, 600, 416), (0, 0, 416, 416)
    assert len(network._candidates(scores, distances, frame, left, (416, 600, 3))[0]) == 0
    boxes, sure, names = network._candidates(scores, distances, frame, right, (416, 600, 3))
    assert names.tolist() == [0] and sure[0] == np.float32(0.9)
    assert boxes[0] == pytest.approx([(184 + 404 - 16) / 600, 196 / 416, 1, 228 / 416])


def test_cells_and_boxes():
    centres = cell_centres(416)
    assert len(centres) == 52**2 + 26**2 + 13**2
    assert centres[1].tolist() == [12, 4, 8] and centres[-1].tolist() == [400, 400, 32]
    assert boxes_of(centres[-1:], np.array([[1, 2, 3, 4]])).tolist() == [[368, 336, 496, 528]]


@pytest.mark.parametrize("broken", ["missing", "config", "model"])
def test_weights_that_cannot_be_read_are_one_sentence(broken, tmp_path):
    folder = tmp_path / "detector"
    if broken != "missing":
        shutil.copytree(FOLDER, folder)
        (folder / ("config.json" if broken == "config" else "model.onnx")).write_text("no")
    scene = Perception("det", experts_from="photo", detection=f"nanodet:{folder}")(data.chelsea())
    assert len(scene.warnings) == 1 and str(folder) in scene.warnings[0] and "Traceback" not in scene.warnings[0]
    assert scene.detections == []


def possible(*tags: tuple[str, float], boxes: tuple[Detection, ...] = ()) -> str:
    scene = Scene(100, 100, detections=list(boxes), more={"possible": [Tag(*one) for one in tags]})
    return verbalize(scene, ["possible"]).strip()


def test_words_of_possible_things():
    assert possible(("fork", 0.2), ("cup", 0.4), ("dining table", 0.12)) == (
        "The image may also show: cup, fork, and dining table."
    )
    assert possible(("cup", 0.4), ("fork", 0.11)) == "The image may also show: cup."
    assert possible(("fork", 0.11)) == possible() == ""
    seen, unsure = Detection("cup", (0, 0, 1, 1), 0.5), Detection("fork", (0, 0, 1, 1), 0.4)
    assert possible(("cup", 0.7), ("fork", 0.6), ("knife", 0.3), boxes=(seen, unsure)) == (
        "The image may also show: [0.00, 0.00, 1.00, 1.00] fork, and knife."
    )
    assert possible(*((f"thing{n}", 0.9 - n / 100) for n in range(10))).count("thing") == 8


def test_possible_things_stand_beside_others():
    seen = Detection("person", (0.6, 0.1, 0.8, 0.9), 0.9), Detection("dog", (0.0, 0.7, 0.2, 0.9), 0.8)
    unsure = Detection("kite", (0.1, 0.0, 0.2, 0.1), 0.3), Detection("ball", (0.3, 0.75, 0.35, 0.8), 0.2)
    assert possible(("kite", 0.3), ("ball", 0.2), ("cup", 0.15), boxes=(*seen, *unsure)) == (
        "The image may also show: [0.10, 0.00, 0.20, 0.10] kite left of person and above dog and above ball, "
        "[0.30, 0.75, 0.35, 0.80] ball left of person and right of dog and below kite, and cup."
    )


def test_possible_things_change_nothing_where_none_looks():
    assert verbalize(Scene(10, 10)) == "   "
    assert "possible" not in Scene(10, 10).to_dict()
    assert "possible" not in Perception().experts


@pytest.mark.parametrize(
    "box, other, says",
    [
        ((0.1, 0.4, 0.2, 0.5), (0.6, 0.4, 0.7, 0.5), "left of"),
        ((0.6, 0.4, 0.7, 0.5), (0.1, 0.4, 0.2, 0.5), "right of"),
        ((0.4, 0.1, 0.5, 0.2), (0.4, 0.6, 0.5, 0.7), "above"),
        ((0.4, 0.6, 0.5, 0.7), (0.4, 0.1, 0.5, 0.2), "below"),
        ((0.1, 0.1, 0.9, 0.9), (0.3, 0.2, 0.5, 0.7), None),
        ((0.1, 0.1, 0.5, 0.5), (0.1, 0.1, 0.5, 0.5), None),
    ],
)
def test_sides(box, other, says):
    found = side_of(box, other, 400, 400)
    assert (found and found[0]) == says
    assert found is None or 0.8 <= found[1] <= 1


def test_sides_are_those_of_the_picture_not_of_the_shares():
    assert side_of((0, 0, 0.1, 0.1), (0.3, 0.5, 0.4, 0.6), 1000, 200)[0] == "left of"


def test_relations_of_boxes_whatever_their_names():
    scene = Scene(400, 400, detections=[
        Detection("yak", (0, 0.4, 0.2, 0.6), 0.9), Detection("kite", (0.7, 0.4, 0.9, 0.6), 0.6),
        Detection("cup", (0.4, 0.4, 0.5, 0.5), 0.4),
    ])  # fmt: skip
    BoxGeometry()(np.zeros((400, 400, 3), np.uint8), scene)
    assert scene.objects == ["yak", "kite"]
    assert "yak is left of kite" in verbalize(scene) and len(scene.relations) == 1


def test_graph_models_are_converted(tmp_path):
    onnx = pytest.importorskip("onnx")
    import torch
    from onnxruntime import InferenceSession

    from perception.networks.graph_model import Converter, read_graph_model

    rng = np.random.default_rng(0)
    weights = {
        "pads": np.array([[0, 0], [0, 0], [1, 1], [1, 1]], np.int32), "last": np.array([0, 2, 3, 1], np.int32),
        "first": np.array([0, 3, 1, 2], np.int32), "kernel": rng.normal(size=(3, 3, 2, 4)).astype(np.float16),
        "bias": rng.normal(size=4).astype(np.float16), "axis": np.array(1, np.int32),
    }  # fmt: skip

    def node(name, operation, *inputs, **attributes):
        return {"name": name, "op": operation, "input": list(inputs), "attr": attributes}

    nodes = [
        node("image", "Placeholder"), node("padded", "Pad", "image", "pads"),
        node("turned", "Transpose", "padded", "last"),
        node("conv", "Conv2D", "turned", "kernel", padding={"s": base64.b64encode(b"VALID").decode()},
             strides={"list": {"i": ["1", "2", "2", "1"]}}),
        node("sum", "Add", "conv", "bias"), node("back", "Transpose", "sum", "first"),
        node("leaky", "LeakyRelu", "back", alpha={"f": 0.1}), node("both", "ConcatV2", "leaky", "back", "axis"),
    ]  # fmt: skip
    manifest = []
    for name, values in weights.items():
        half = {"quantization": {"dtype": "float16"}} if values.dtype == np.float16 else {}
        kind = "float32" if half else "int32"
        manifest.append({"name": name, "shape": list(values.shape), "dtype": kind} | half)
    record = {"modelTopology": {"node": nodes}, "weightsManifest": [{"paths": ["m.bin"], "weights": manifest}]}
    (tmp_path / "m.json").write_text(json.dumps(record))
    (tmp_path / "m.bin").write_bytes(b"".join(values.tobytes() for values in weights.values()))

    converter = Converter(*read_graph_model(tmp_path / "m.json"))
    made = converter.tensor("both")
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, None, None, None]) for name in ("image", made)]
    graph = onnx.helper.make_graph(converter.made, "g", ends[:1], ends[1:], converter.weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    image = rng.normal(size=(1, 2, 8, 8)).astype(np.float32)
    (result,) = InferenceSession(model.SerializeToString()).run(None, {"image": image})
    kernel = torch.from_numpy(weights["kernel"].astype(np.float32)).permute(3, 2, 0, 1)
    bias = torch.from_numpy(weights["bias"].astype(np.float32))
    back = torch.nn.functional.conv2d(torch.from_numpy(image), kernel, bias, stride=2, padding=1)
    expected = torch.cat([torch.nn.functional.leaky_relu(back, 0.1), back], dim=1)
    assert np.allclose(result, expected, atol=1e-5)
