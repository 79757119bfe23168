"""Detection of whatever can be named, by a network of the Hugging Face hub: OWL-ViT, OWLv2, Grounding DINO."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from perception.backends.backend import Backend, OneOf, Option, Text, Texts
from perception.backends.hf_detection import Detections
from perception.builder import Builder
from perception.expert import ExpertUnavailable
from perception.networks.boxes import found_boxes
from perception.networks.hub import PRECISIONS, HubNetwork, Loaded, in_fp32, sizes_of
from perception.networks.network import Found, joined
from perception.networks.vocabulary import SOURCES, names_of

OWN_NAMES = "labels.txt"
"""The file of names that a folder of weights may hold."""
_AT_ONCE = 256
"""Prompts that a text encoder reads in one pass."""


class OpenVocabulary(HubNetwork[Found]):
    """Boxes of the names `labels` (see `perception.networks.vocabulary`) from `threshold` on.

    The prompts, each name in `template` in the place of {}, are encoded when the network is loaded, and kept.
    Without `labels`, those of the file `labels.txt` in a folder of weights, or COCO's 80 things. `text_threshold` is
    what a word needs to be part of a label, where networks find words. `spoken_from` as in hf_detection.
    """

    model = "AutoModelForZeroShotObjectDetection"
    what = "a network for open-vocabulary detection"

    def __init__(
        self,
        source: str,
        labels: str | Sequence[str] | None = None,
        template: str = "{}",
        threshold: float = 0.1,
        text_threshold: float = 0.25,
        spoken_from: float | None = None,
        **common,
    ):
        self.labels = labels
        self.template = template
        self.threshold = threshold
        self.text_threshold = text_threshold
        self.spoken_from = spoken_from
        super().__init__(source, **common)

    def _processor_of(self, network: Any) -> str:
        return "AutoProcessor"

    def _load(self) -> "Prompted":
        own = Path(self.source) / OWN_NAMES
        names = names_of(self.labels if self.labels is not None else str(own) if own.is_file() else "coco")
        loaded = super()._load()
        kind = loaded.network.config.model_type
        if kind not in _READERS:
            raise ExpertUnavailable(f"{self.source} is of the kind {kind}; allowed are {', '.join(_READERS)}")
        make: Any = _READERS[kind]
        reader = make(loaded, names, self)
        with torch.inference_mode(), self._autocast_on(loaded.network.device.type):
            reader.encode([self.template.replace("{}", name) for name in names])
        return Prompted(loaded.network, loaded.processor, reader)

    def _inputs(self, picture: np.ndarray) -> dict[str, torch.Tensor]:
        made = self._model.processor.image_processor(Image.fromarray(picture), return_tensors="pt")
        return {name: value for name, value in made.items() if isinstance(value, torch.Tensor)}

    def _forward(self, inputs: dict[str, torch.Tensor]) -> Any:
        return self._model.reader.look(inputs)

    def _adapted(self, outputs: Any, pictures: Sequence[np.ndarray]) -> list[Found]:
        return self._model.reader.found(outputs, pictures)


class Prompted(NamedTuple):
    """A loaded network with what reads its prompts."""

    network: Any
    processor: Any
    reader: "Owl | GroundingDino"


@dataclass
class Owl:
    """OWL-ViT and OWLv2: a text encoder of its own, so that prompts become vectors once."""

    loaded: Loaded
    names: list[str]
    settings: OpenVocabulary

    def encode(self, prompts: list[str]) -> None:
        """Keeps the prompts' vectors."""
        network = self.loaded.network
        room = network.config.text_config.max_position_embeddings
        rows = []
        for start in range(0, len(prompts), _AT_ONCE):
            tokens = self.loaded.processor.tokenizer(
                prompts[start : start + _AT_ONCE],
                padding="max_length",
                truncation=True,
                max_length=room,
                return_tensors="pt",
            ).to(network.device)
            features = network.base_model.get_text_features(tokens.input_ids, tokens.attention_mask).pooler_output
            rows.append(features.float())
        vectors = torch.cat(rows)
        self.vectors = vectors / torch.linalg.norm(vectors, ord=2, dim=-1, keepdim=True)

    def look(self, inputs: dict[str, torch.Tensor]) -> Any:
        """As the network's own forward pass, with the vectors in the place of the text encoder."""
        network = self.loaded.network
        grid = network.image_embedder(inputs["pixel_values"])[0]
        features = grid.flatten(1, 2)
        logits, _ = network.class_predictor(features, self.vectors.expand(len(features), -1, -1))
        return {"logits": logits, "pred_boxes": network.box_predictor(features, grid)}

    def found(self, outputs: Any, pictures: Sequence[np.ndarray]) -> list[Found]:
        """By the library's own post-processing."""
        results = self.loaded.processor.image_processor.post_process_object_detection(
            SimpleNamespace(**in_fp32(outputs, "logits", "pred_boxes")),
            threshold=self.settings.threshold,
            target_sizes=sizes_of(pictures),
        )
        return [
            found_boxes(
                one["boxes"],
                one["scores"],
                [self.names[number] for number in one["labels"].tolist()],
                picture,
                self.settings.spoken_from,
            )
            for one, picture in zip(results, pictures, strict=True)
        ]


@dataclass
class GroundingDino:
    """Grounding DINO: text and picture meet in the first layer, so the tokens alone can be kept; it reads as many
    prompts at once as its text has room for, and looks once for each such part."""

    loaded: Loaded
    names: list[str]
    settings: OpenVocabulary

    def encode(self, prompts: list[str]) -> None:
        """Keeps the prompts' tokens."""
        parts: list[list[str]] = [[]]
        for prompt in (one.replace(".", " ").strip() for one in prompts):
            if parts[-1] and self._length([*parts[-1], prompt]) > self.loaded.network.config.max_text_len:
                parts.append([])
            parts[-1].append(prompt)
        place = self.loaded.network.device
        self.tokens = [self.loaded.processor(text=[part], return_tensors="pt").to(place) for part in parts]

    def _length(self, prompts: list[str]) -> int:
        return self.loaded.processor(text=[prompts], return_tensors="pt").input_ids.shape[1]

    def look(self, inputs: dict[str, torch.Tensor]) -> Any:
        """The outputs for each part of the prompts."""
        count = len(inputs["pixel_values"])
        return [
            self.loaded.network(**inputs, **{name: value.expand(count, -1) for name, value in tokens.items()})
            for tokens in self.tokens
        ]

    def found(self, outputs: Any, pictures: Sequence[np.ndarray]) -> list[Found]:
        """By the library's own post-processing; labels are the words that it found."""
        parts = []
        for output, tokens in zip(outputs, self.tokens, strict=True):
            results = self.loaded.processor.post_process_grounded_object_detection(
                in_fp32(output, "logits", "pred_boxes"),
                tokens.input_ids.expand(len(pictures), -1),
                threshold=self.settings.threshold,
                text_threshold=self.settings.text_threshold,
                target_sizes=torch.tensor(sizes_of(pictures), device=tokens.input_ids.device),
            )
            parts.append(
                [
                    found_boxes(one["boxes"], one["scores"], one["text_labels"], picture, self.settings.spoken_from)
                    for one, picture in zip(results, pictures, strict=True)
                ]
            )
        return [joined(of_one) for of_one in zip(*parts, strict=True)]


_READERS = {"owlv2": Owl, "owlvit": Owl, "grounding-dino": GroundingDino, "mm-grounding-dino": GroundingDino}


def build(kind: str, weights: str, builder: Builder, **options) -> Detections:
    """The expert; experts of the same weights and options share the network."""
    key = ("hf_open_vocabulary", weights, repr(sorted(options.items())))
    return Detections(builder.shared(key, lambda: OpenVocabulary(weights, device=builder.device, **options)))


BACKEND = Backend(
    name="hf_open_vocabulary",
    kinds=("detection",),
    build=build,
    weights="the hub id or the folder of a network for open-vocabulary detection, such as "
    "google/owlv2-base-patch16-ensemble",
    options={
        "labels": Texts(SOURCES),
        "template": Text("a text with {} in the place of the name", r".*\{\}.*"),
        "threshold": Option(float, 0.0, 1.0),
        "text_threshold": Option(float, 0.0, 1.0),
        "spoken_from": Option(float, 0.01, 0.99),
        "precision": OneOf(tuple(PRECISIONS)),
    },
)
