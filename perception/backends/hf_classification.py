"""Tags by an image classifier of the Hugging Face hub."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from perception.backends.backend import Backend, OneOf, Option, Setting
from perception.builder import Builder
from perception.expert import NetworkExpert
from perception.networks.hub import PRECISIONS, HubNetwork
from perception.scene import Scene, Tag


class Classifier(HubNetwork[list[Tag]]):
    """At most `most` tags with scores from `threshold` on, surest first."""

    model = "AutoModelForImageClassification"
    what = "a network for image classification"

    def __init__(self, source: str, threshold: float = 0.05, most: int = 5, **common):
        self.threshold = threshold
        self.most = most
        super().__init__(source, **common)

    def _adapted(self, outputs: Any, pictures: Sequence[np.ndarray]) -> list[list[Tag]]:
        config = self._model.network.config
        several = config.problem_type == "multi_label_classification" or config.num_labels == 1
        logits = outputs.logits.float()
        return self._tags(logits.sigmoid() if several else logits.softmax(-1), config.id2label)

    def _tags(self, scores: torch.Tensor, names: Any) -> list[list[Tag]]:
        """Tags of scores (B, N) in 0..1 with a name for each number."""
        best = scores.topk(min(self.most, scores.shape[-1]))
        return [
            [Tag(names[number], score) for score, number in zip(*row, strict=True) if score >= self.threshold]
            for row in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]


class Tags(NetworkExpert):
    """What a network says of the whole picture, as tags."""

    def fill(self, found: list[Tag], scene: Scene) -> None:
        """Fills the scene's part `tags`."""
        scene.more["tags"] = list(found)


def build(kind: str, weights: str, builder: Builder, **options) -> Tags:
    """The expert."""
    return Tags(Classifier(weights, device=builder.device, **options))


OPTIONS: dict[str, Setting] = {
    "threshold": Option(float, 0.0, 1.0),
    "most": Option(int, 1, 1000),
    "precision": OneOf(tuple(PRECISIONS)),
}
BACKEND = Backend(
    name="hf_classification",
    kinds=("tags",),
    build=build,
    weights="the hub id or the folder of an image classifier, such as google/vit-base-patch16-224",
    options=OPTIONS,
)
