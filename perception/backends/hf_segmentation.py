"""Panoptic segmentation by a network of the Hugging Face hub: Mask2Former, OneFormer, EoMT, MaskFormer."""

import inspect
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from perception.backends.backend import Backend, OneOf, Option
from perception.boxes import extent
from perception.builder import Builder
from perception.expert import NetworkExpert
from perception.networks.hub import PRECISIONS, HubNetwork
from perception.networks.network import reduced_size
from perception.scene import Scene, Segment

_OUTPUTS = ("class_queries_logits", "masks_queries_logits", "logits", "pred_masks")
"""Of networks that give queries, then of DETR: what their post-processing looks at."""
_WITH_A_TASK = "oneformer"


class Segmenter(HubNetwork[list[Segment]]):
    """Segments with disjoint masks and the network's own labels, in the order of the library.

    `settings` are those of the library's `post_process_panoptic_segmentation`; what is not given is its own choice.
    """

    model = "AutoModelForUniversalSegmentation"
    what = "a network for panoptic segmentation"

    def __init__(self, source: str, device: str | None = None, precision: str | None = None, **settings: float):
        self.settings = settings
        super().__init__(source, device, precision)

    def _processor_of(self, network: Any) -> str:
        return "AutoProcessor" if network.config.model_type == _WITH_A_TASK else super()._processor_of(network)

    def _inputs(self, picture: np.ndarray) -> dict[str, torch.Tensor]:
        if self._model.network.config.model_type != _WITH_A_TASK:
            return super()._inputs(picture)
        made = self._model.processor(
            images=Image.fromarray(picture), task_inputs=["panoptic"], return_tensors="pt"
        )  # fmt: skip
        return {name: made[name] for name in ("pixel_values", "pixel_mask", "task_inputs")}

    def _adapted(self, outputs: Any, pictures: Sequence[np.ndarray]) -> list[list[Segment]]:
        # One by one, since some networks' masks of all queries are enlarged to the size of the picture.
        return [self._segments(outputs, number, picture) for number, picture in enumerate(pictures)]

    def _segments(self, outputs: Any, number: int, picture: np.ndarray) -> list[Segment]:
        own = {name: outputs[name][number : number + 1].float() for name in _OUTPUTS if name in outputs}
        processor = self._model.processor
        process = getattr(processor, "image_processor", processor).post_process_panoptic_segmentation
        settings: dict[str, Any] = dict(self.settings)
        if "label_ids_to_fuse" in inspect.signature(process).parameters:
            settings["label_ids_to_fuse"] = set()
        size = reduced_size(picture)
        found = process(SimpleNamespace(**own), target_sizes=[size], **settings)[0]
        numbers = found["segmentation"].cpu().numpy().astype(np.int32)
        if size != picture.shape[:2]:
            numbers = cv2.resize(numbers, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_NEAREST)
        segments = []
        for info in found["segments_info"]:
            mask = numbers == info["id"]
            box = extent(mask)
            label = self._model.network.config.id2label[info["label_id"]].strip()
            if box is not None and label not in ("", "N/A"):
                segments.append(Segment(label, box, float(info["score"]), mask))
        return segments


class Segments(NetworkExpert):
    """What a network found, as segments."""

    def fill(self, found: list[Segment], scene: Scene) -> None:
        """Fills `scene.segments`."""
        scene.segments = list(found)


def build(kind: str, weights: str, builder: Builder, **options) -> Segments:
    """The expert; experts of the same weights and options share the network."""
    key = ("hf_segmentation", weights, repr(sorted(options.items())))
    return Segments(builder.shared(key, lambda: Segmenter(weights, device=builder.device, **options)))


BACKEND = Backend(
    name="hf_segmentation",
    kinds=("segmentation",),
    build=build,
    weights="the hub id or the folder of a network for panoptic segmentation, such as "
    "facebook/mask2former-swin-base-coco-panoptic",
    options={
        "threshold": Option(float, 0.0, 1.0),
        "mask_threshold": Option(float, 0.0, 1.0),
        "overlap_mask_area_threshold": Option(float, 0.0, 1.0),
        "precision": OneOf(tuple(PRECISIONS)),
    },
)
