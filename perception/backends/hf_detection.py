"""Detection by a network of the Hugging Face hub: DETR, RT-DETR, D-FINE, YOLOS, and what else detects there."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from perception.backends.backend import Backend, OneOf, Option
from perception.builder import Builder
from perception.expert import NetworkExpert
from perception.networks.boxes import found_boxes
from perception.networks.hub import PRECISIONS, HubNetwork, in_fp32, sizes_of
from perception.networks.network import Found
from perception.scene import Detection, Scene


class Detector(HubNetwork[Found]):
    """Boxes from `threshold` on; `spoken_from` is the score from which on they are said (by default 0.5)."""

    model = "AutoModelForObjectDetection"
    what = "a network for object detection"

    def __init__(self, source: str, threshold: float = 0.25, spoken_from: float | None = None, **common):
        self.threshold = threshold
        self.spoken_from = spoken_from
        super().__init__(source, **common)

    def _adapted(self, outputs: Any, pictures: Sequence[np.ndarray]) -> list[Found]:
        names = self._model.network.config.id2label
        results = self._model.processor.post_process_object_detection(
            in_fp32(outputs, "logits", "pred_boxes"), threshold=self.threshold, target_sizes=sizes_of(pictures)
        )
        return [
            found_boxes(
                one["boxes"], one["scores"], [names[label] for label in one["labels"].tolist()], picture,
                self.spoken_from,
            )
            for one, picture in zip(results, pictures, strict=True)
        ]  # fmt: skip


class Detections(NetworkExpert):
    """What a network found, as detections."""

    def fill(self, found: Found, scene: Scene) -> None:
        """Fills `scene.detections`."""
        scene.detections = [
            Detection(label, tuple(box), score)
            for label, box, score in zip(found.labels, found.boxes.tolist(), found.scores.tolist(), strict=True)
        ]


def build(kind: str, weights: str, builder: Builder, **options) -> Detections:
    """The expert; experts of the same weights and options share the network."""
    key = ("hf_detection", weights, repr(sorted(options.items())))
    network = builder.shared(key, lambda: Detector(weights, device=builder.device, **options))
    return Detections(network)


BACKEND = Backend(
    name="hf_detection",
    kinds=("detection",),
    build=build,
    weights="the hub id or the folder of a network for object detection, such as PekingU/rtdetr_v2_r18vd",
    options={
        "threshold": Option(float, 0.0, 1.0),
        "spoken_from": Option(float, 0.01, 0.99),
        "precision": OneOf(tuple(PRECISIONS)),
    },
)
