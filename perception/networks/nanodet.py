"""NanoDet in a folder of ours: `model.onnx`, run by onnxruntime, and `config.json`."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from perception.expert import ExpertUnavailable
from perception.guard.watch import Threads
from perception.networks.network import Found, Network, sorted_found
from perception.networks.onnx import EachSize, is_scarce, on_gpu, session, workers
from perception.scene import Box

STRIDES = (8, 16, 32)
"""Pixels a cell, of the three sizes of cells."""
HALF = 0.6
"""Share of the longer side that a close look sees."""
TOGETHER = (4, 16)
"""Views in one pass of a GPU, which prepares itself for each number of them; what is missing is filled up."""
CUT = 0.05
"""What comes as near to an inner edge of a close look, in shares of it, may be cut by it."""


class NanoDet(Network[Found]):
    """Boxes of COCO's things with the share of right ones as their scores, surest first.

    A score says how often such a box is right: its label, and an overlap (IoU) of at least a half with what a person
    drew. `close_looks`: whether it looks at the two halves of a picture besides, which takes
    three times as long. `threads` of the processor for each pass; None: as many as leave room for other passes.
    `device` as torch names it: a GPU is used where onnxruntime can, unless it is "cpu".

    `folder` has `model.onnx` as `perception.networks.graph_model` writes it, and `config.json`: `labels`, `side`,
    `mean` and `std` (blue, green, red, 0..255), `least` (score of the network from which on boxes count), `nms` (most
    overlap of two boxes of one label), and two curves as pairs of numbers in 0..1: `boxes`, the network's scores with
    the share of right boxes at each, and `presence`, those shares of a picture's surest box of a label with how often
    the label is in the picture.
    """

    def __init__(
        self,
        folder: str | Path,
        close_looks: bool = True,
        threads: int | None = None,
        device: str | None = None,
    ):
        self.folder = Path(folder)
        self.close_looks = close_looks
        self.threads = threads
        self.device = device
        super().__init__()

    _threads: Threads

    def _fresh(self) -> dict[str, Any]:
        return super()._fresh() | {"_threads": Threads("nanodet")}

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.folder)

    def _load(self) -> Any:
        try:
            self._config = json.loads((self.folder / "config.json").read_text())
            self._centres = cell_centres(self._config["side"])
            model = (self.folder / "model.onnx").read_bytes()
            make = partial(session, model, self.device, self.threads)
            scarce = partial(is_scarce, self.device)
            return EachSize(make(), make, scarce) if on_gpu(self.device) else make()
        except ImportError as error:
            raise ExpertUnavailable("the package onnxruntime is not installed; pip install onnxruntime") from error
        except OSError as error:
            raise ExpertUnavailable(
                f"the detector {self.folder} cannot be read ({error.strerror or 'input error'}); it needs model.onnx "
                "and config.json"
            ) from error
        except Exception as error:
            raise ExpertUnavailable(f"{self.folder} holds no NanoDet that can be run") from error

    def _run(self, pictures: list[np.ndarray]) -> list[Found]:
        views = [self._views(picture) for picture in pictures]
        looks = [(picture, view) for picture, seen in zip(pictures, views, strict=True) for view in seen]
        framed = self._each(lambda look: self._framed(*look), looks)
        # Views in one pass save no time on a processor, and take more memory.
        size = TOGETHER[-1] if on_gpu(self.device) else 1
        passes = [[image for image, _ in framed[start : start + size]] for start in range(0, len(framed), size)]
        scores, distances = (np.concatenate(found) for found in zip(*self._each(self._pass, passes), strict=True))
        results, place = [], 0
        for picture, seen in zip(pictures, views, strict=True):
            parts = [
                self._candidates(scores[number], distances[number], framed[number][1], view, picture.shape)
                for number, view in enumerate(seen, place)
            ]
            results.append(self._found(*(np.concatenate(column) for column in zip(*parts, strict=True))))
            place += len(seen)
        return results

    def _each(self, work: Callable[[Any], Any], items: list) -> list:
        return self._threads.each(work, items, workers(self.threads))

    def _pass(self, images: list[np.ndarray]) -> list[np.ndarray]:
        size = len(images)
        if isinstance(self._model, EachSize):
            size = next(one for one in TOGETHER if one >= size)
        given = np.zeros((size, *images[0].shape), np.float32)
        given[: len(images)] = images

        def run(model: Any) -> list[np.ndarray]:
            return model.run(["scores", "distances"], {"image": given})

        found = self._model.run(given, run) if isinstance(self._model, EachSize) else run(self._model)
        return [one[: len(images)] for one in found]

    def _views(self, picture: np.ndarray) -> list[Box]:
        """The whole picture and, where it has more pixels than the network sees of it, its two halves, which overlap:
        what is small in the picture is larger there. In pixels."""
        height, width = picture.shape[:2]
        whole = (0, 0, width, height)
        if not self.close_looks or max(height, width) <= self._config["side"]:
            return [whole]
        long = max(round(max(height, width) * HALF), min(height, width))
        if width >= height:
            return [whole, (0, 0, long, height), (width - long, 0, width, height)]
        return [whole, (0, 0, width, long), (0, height - long, width, height)]

    def _framed(self, picture: np.ndarray, view: Box) -> tuple[np.ndarray, Box]:
        """A view of (H, W, 3) uint8 RGB as (3, side, side) float32 in the middle of a grey square, and where it is."""
        import cv2

        side = self._config["side"]
        x1, y1, x2, y2 = (int(value) for value in view)
        scale = side / max(x2 - x1, y2 - y1)
        width, height = max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale))
        how = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA
        small = cv2.resize(np.ascontiguousarray(picture[y1:y2, x1:x2]), (width, height), interpolation=how)
        left, top = (side - width) // 2, (side - height) // 2
        mean, std = (np.array(self._config[name], np.float32) for name in ("mean", "std"))
        image = np.zeros((3, side, side), np.float32)
        image[:, top : top + height, left : left + width] = ((small[..., ::-1] - mean) / std).transpose(2, 0, 1)
        return image, (left, top, left + width, top + height)

    def _candidates(
        self, scores: np.ndarray, distances: np.ndarray, frame: Box, view: Box, shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes in shares of the picture, the network's scores and the numbers of names, of (cells, names) scores and
        (cells, 4) distances; what an inner edge of a view cuts is left to the whole picture."""
        cells, names = np.nonzero(scores >= self._config["least"])
        # The same four numbers for every box: offset and size of the frame, then of the view.
        low, span = np.tile(frame[:2], 2), np.tile(np.subtract(frame[2:], frame[:2]), 2)
        boxes = np.clip((boxes_of(self._centres[cells], distances[cells]) - low) / span, 0, 1)
        height, width = shape[:2]
        inner = np.array([view[0] > 0, view[1] > 0, view[2] < width, view[3] < height])
        cut = np.concatenate([boxes[:, :2] <= CUT, boxes[:, 2:] >= 1 - CUT], axis=1)
        keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & ~(cut & inner).any(axis=1)
        size = np.tile(np.subtract(view[2:], view[:2]), 2)
        placed = (boxes * size + np.tile(view[:2], 2)) / (width, height, width, height)
        return placed[keep], scores[cells, names][keep], names[keep]

    def _found(self, boxes: np.ndarray, sure: np.ndarray, names: np.ndarray) -> Found:
        """What is left of candidates once the surer of two boxes of one label is taken."""
        import torch
        from torchvision.ops import batched_nms

        tensors = (torch.from_numpy(one) for one in (boxes.astype(np.float32), sure, names))
        kept = batched_nms(*tensors, self._config["nms"]).numpy()
        labels = [self._config["labels"][name] for name in names[kept]]
        return sorted_found(Found(labels, self._calibrated("boxes", sure[kept]), boxes[kept]))

    def _calibrated(self, curve: str, scores: Any) -> np.ndarray:
        return np.interp(scores, *np.array(self._config[curve], float).T)

    def presence(self, found: Found) -> dict[str, float]:
        """How likely each label of what was found is in the picture, by its surest box; the most likely first."""
        best: dict[str, float] = {}
        for label, score in zip(found.labels, found.scores.tolist(), strict=True):
            best.setdefault(label, float(self.load()._calibrated("presence", score)))
        return best


def cell_centres(side: int) -> np.ndarray:
    """(cells, 3) of x, y in pixels and the stride of each cell, row by row, the smallest cells first."""
    parts = []
    for stride in STRIDES:
        count = -(-side // stride)
        rows, columns = np.divmod(np.arange(count * count), count)
        parts.append(np.stack([(columns + 0.5) * stride, (rows + 0.5) * stride, np.full(rows.shape, stride)], axis=1))
    return np.concatenate(parts).astype(float)


def boxes_of(centres: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) x1 y1 x2 y2 in pixels from cells (N, 3) and distances (N, 4) in strides to the four sides."""
    away = distances * centres[:, 2:]
    return np.concatenate([centres[:, :2] - away[:, :2], centres[:, :2] + away[:, 2:]], axis=1)
