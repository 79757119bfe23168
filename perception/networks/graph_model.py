"""From a TensorFlow.js graph model to ONNX: `python -m perception.networks.graph_model nanodet MODEL.json OUT.onnx`.

Only for making `weights/nanodet`; it knows the operations of that network. Needs the package onnx.
"""

import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

OPSET = 18
STRIDES, CLASSES, BINS = (8, 16, 32), 80, 11
"""Of NanoDet: pixels a cell, names, and the bins of the distance from a cell's centre to each side."""
NANODET_HEADS = ("PartitionedCall/Add_29", "PartitionedCall/Add_33", "PartitionedCall/Add_37")
"""One a stride: (N, rows, columns, CLASSES + 4 * BINS)."""


def read_graph_model(path: Path) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """Nodes by name, and constants by name, of a graph model: MODEL.json with its weights beside it."""
    model = json.loads(path.read_text())
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    constants, place = {}, 0
    for group in model["weightsManifest"]:
        data = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        place = 0
        for weight in group["weights"]:
            stored = np.dtype(weight.get("quantization", weight)["dtype"])
            count = int(np.prod(weight["shape"], dtype=np.int64))
            values = np.frombuffer(data, stored, count, place).reshape(weight["shape"])
            constants[weight["name"]] = values.astype(weight["dtype"])
            place += values.nbytes
    return nodes, constants


class Converter:
    """Writes the nodes that lead to some outputs as ONNX, all pictures as (N, C, H, W).

    TensorFlow keeps channels last, and exporters put transpositions around its convolutions. Here a transposition only
    changes how the axes of a tensor are read (`last`: channels last), so that none is left.
    """

    def __init__(self, nodes: dict[str, dict], constants: dict[str, np.ndarray]):
        from onnx import helper, numpy_helper

        self.helper, self.numpy_helper = helper, numpy_helper
        self.nodes, self.constants = nodes, constants
        self.made: list[Any] = []
        self.weights: list[Any] = []
        self.last: dict[str, bool] = {}
        self.name_of: dict[str, str] = {}

    def tensor(self, name: str) -> str:
        """The ONNX name of a node's output, after whatever it needs."""
        name = name.split(":0")[0]
        if name not in self.name_of:
            node = self.nodes[name]
            getattr(self, f"_{node['op'].lower()}")(name, node, [one.split(":0")[0] for one in node.get("input", ())])
        return self.name_of[name]

    def add(self, operation: str, inputs: Sequence[str], **attributes) -> str:
        """One ONNX node; the name of its output."""
        output = f"{operation.lower()}_{len(self.made)}"
        self.made.append(self.helper.make_node(operation, list(inputs), [output], **attributes))
        return output

    def weight(self, values: np.ndarray) -> str:
        """A constant; floating numbers of some size are stored in 16 bits."""
        name = f"weight_{len(self.weights)}"
        small = values.dtype == np.float32 and values.size > 1
        self.weights.append(self.numpy_helper.from_array(values.astype(np.float16) if small else values, name))
        return self.add("Cast", [name], to=1) if small else name

    def _set(self, name: str, made: str, last: bool) -> None:
        self.name_of[name], self.last[name] = made, last

    def _placeholder(self, name: str, node: dict, inputs: list[str]) -> None:
        self._set(name, "image", last=False)

    def _transpose(self, name: str, node: dict, inputs: list[str]) -> None:
        order = self.constants[inputs[1]].tolist()
        last = {(0, 2, 3, 1): True, (0, 3, 1, 2): False}[tuple(order)]
        made = self.tensor(inputs[0])
        if self.last[inputs[0]] == last:
            raise ValueError(f"{name} turns axes twice")
        self._set(name, made, last)

    def _pad(self, name: str, node: dict, inputs: list[str]) -> None:
        made, pads = self.tensor(inputs[0]), self.constants[inputs[1]]
        if self.last[inputs[0]]:
            pads = pads[[0, 3, 1, 2]]
        value = self.constants[inputs[2]] if len(inputs) > 2 else np.float32(0)
        ends = self.weight(np.concatenate([pads[:, 0], pads[:, 1]]).astype(np.int64))
        self._set(name, self.add("Pad", [made, ends, self.weight(np.array(value, np.float32))]), self.last[inputs[0]])

    _padv2 = _pad

    def _conv2d(self, name: str, node: dict, inputs: list[str]) -> None:
        if _text(node, "padding") != "VALID" or not self._is_last(inputs[0]):
            raise ValueError(f"{name} is padded in a way that is not known here")
        kernel = self.weight(np.ascontiguousarray(self.constants[inputs[1]].transpose(3, 2, 0, 1)))
        self._set(name, self.add("Conv", [self.tensor(inputs[0]), kernel], strides=_sides(node, "strides")), True)

    def _maxpool(self, name: str, node: dict, inputs: list[str]) -> None:
        sides = {"kernel_shape": _sides(node, "ksize"), "strides": _sides(node, "strides")}
        self._set(name, self.add("MaxPool", [self.tensor(inputs[0])], **sides), self._is_last(inputs[0]))

    def _add(self, name: str, node: dict, inputs: list[str]) -> None:
        made = self.tensor(inputs[0])
        last = self.last[inputs[0]]
        if inputs[1] in self.constants:
            other = self.weight(self.constants[inputs[1]].reshape(1, -1, 1, 1))
        else:
            other = self.tensor(inputs[1])
        self._set(name, self.add("Add", [made, other]), last)

    def _leakyrelu(self, name: str, node: dict, inputs: list[str]) -> None:
        made = self.add("LeakyRelu", [self.tensor(inputs[0])], alpha=float(node["attr"]["alpha"]["f"]))
        self._set(name, made, self.last[inputs[0]])

    def _concatv2(self, name: str, node: dict, inputs: list[str]) -> None:
        parts, last = [self.tensor(one) for one in inputs[:-1]], self.last[inputs[0]]
        if int(self.constants[inputs[-1]]) != (3 if last else 1):
            raise ValueError(f"{name} joins more than channels")
        self._set(name, self.add("Concat", parts, axis=1), last)

    def _resizebilinear(self, name: str, node: dict, inputs: list[str]) -> None:
        made, sides = self.tensor(inputs[0]), self.constants[inputs[1]].astype(np.int64)
        # The picture's number and channels as they come.
        shape = self.add("Shape", [made], end=2)
        sizes = self.add("Concat", [shape, self.weight(sides)], axis=0)
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        self._set(name, self.add("Resize", [made, "", "", sizes], **how), self.last[inputs[0]])

    def _is_last(self, name: str) -> bool:
        self.tensor(name)
        return self.last[name]


def _text(node: dict, key: str) -> str:
    return base64.b64decode(node["attr"][key]["s"]).decode()


def _sides(node: dict, key: str) -> list[int]:
    _, down, across, _ = (int(one) for one in node["attr"][key]["list"]["i"])
    return [down, across]


def nanodet(path: Path) -> Any:
    """NanoDet as ONNX: `image` (N, 3, side, side) float32 -> `scores` (N, cells, CLASSES) in 0..1, and `distances`
    (N, cells, 4) from each cell's centre to left, top, right and bottom, in strides."""
    from onnx import TensorProto, checker, helper

    converter = Converter(*read_graph_model(path))
    add, weight = converter.add, converter.weight
    bins = weight(np.arange(BINS, dtype=np.float32).reshape(BINS, 1))
    parts: dict[str, list[str]] = {"scores": [], "distances": []}
    for head in NANODET_HEADS:
        made = converter.tensor(head)
        rows = add("Transpose", [add("Reshape", [made, weight(np.array([0, 0, -1]))])], perm=[0, 2, 1])
        ends = [weight(np.array([end])) for end in (0, CLASSES, CLASSES + 4 * BINS, 2)]
        parts["scores"].append(add("Sigmoid", [add("Slice", [rows, ends[0], ends[1], ends[3]])]))
        sides = add("Reshape", [add("Slice", [rows, ends[1], ends[2], ends[3]]), weight(np.array([0, 0, 4, BINS]))])
        expected = add("MatMul", [add("Softmax", [sides], axis=-1), bins])
        parts["distances"].append(add("Reshape", [expected, weight(np.array([0, 0, 4]))]))
    for name, pieces in parts.items():
        converter.made.append(helper.make_node("Concat", pieces, [name], axis=1))
    side = int(converter.nodes["input_1"]["attr"]["shape"]["shape"]["dim"][-1]["size"])
    cells = sum((side // stride) ** 2 for stride in STRIDES)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, side, side])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", cells, width])
        for name, width in (("scores", CLASSES), ("distances", 4))
    ]
    graph = helper.make_graph(converter.made, "nanodet", [image], outputs, converter.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    import onnx

    onnx.save(nanodet(Path(sys.argv[1])), sys.argv[2])
