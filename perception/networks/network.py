"""What every network does: it is loaded at its first use, and looks at a picture once, however many experts ask."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

import numpy as np

from perception.forks import ProcessBound
from perception.images import digest_of
from perception.memory import Memory
from perception.networks.one_thread import OneThread

_MEMO_SIZE = 4
_MEMO_ROOM = 256 * 2**20
MAX_SIDE = 1280
"""Longer side in pixels above which masks are drawn on a reduced picture; they grow back afterwards."""

Result = TypeVar("Result")


@dataclass
class Found:
    """What a network found in one picture, surest first; N may be 0.

    `labels` N names. `scores` (N,) float in 0..1. `boxes` (N, 4) float x1 y1 x2 y2 in shares of width and height.
    `masks` (N, H, W) bool over the picture, or None for a network that only draws boxes.
    """

    labels: list[str]
    scores: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray | None = None


class Network(ProcessBound, Generic[Result]):
    """A network that several threads and experts may share.

    `_load` returns whatever `_model` is to hold, and may raise ExpertUnavailable; `_run` looks at several pictures;
    `_on_cuda` tells whether torch runs it on a GPU, where one thread does so.
    """

    _model: Any
    _memo: Memory[Result]
    _lock: threading.RLock
    _thread: OneThread

    def _fresh(self) -> dict[str, Any]:
        return {
            "_model": None,
            "_memo": Memory(_MEMO_SIZE, _MEMO_ROOM, keeps_last=True),
            "_lock": threading.RLock(),
            "_thread": OneThread("network"),
        }

    def _load(self) -> Any:
        raise NotImplementedError

    def _run(self, pictures: list[np.ndarray]) -> list[Result]:
        raise NotImplementedError

    def _on_cuda(self) -> bool:
        return False

    def load(self) -> Self:
        """Loads the network if it is not there yet."""
        if self._model is None:  # the lock may be held by one that looks at a picture
            with self._lock:
                if self._model is None:
                    self._model = self._load()
        return self

    def __call__(self, picture: np.ndarray) -> Result:
        """What is in one picture, (H, W, 3) uint8 RGB."""
        return self.batch([picture])[0]

    def batch(self, pictures: Sequence[np.ndarray]) -> list[Result]:
        """What is in each picture, in one pass where their shapes allow; known pictures are not looked at again."""
        keys = [digest_of(picture) for picture in pictures]
        # Held while the network runs: the second expert to ask about a picture then finds it in the memo.
        with self._lock:
            self.load()
            known = {key: found for key in keys if (found := self._memo.get(key)) is not None}
            missing = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in known}
            if missing:
                new = list(missing.values())
                results = self._thread(lambda: self._run(new)) if self._on_cuda() else self._run(new)
                known.update(zip(missing, results, strict=True))
            if len(keys) > 1:  # its pictures will be asked for one by one
                self._memo.most = max(_MEMO_SIZE, len(set(keys)))
            for key in keys:
                self._memo.put(key, known[key])
            return [known[key] for key in keys]


def in_groups(
    items: Sequence[Any], shapes: Sequence[Any], run: Callable[[list], list[Result]], together: bool
) -> list[Result]:
    """The results of `run` in the order of the items, which it is given in groups of one shape, so that none is padded
    for another's sake; one by one unless they go `together`: on a processor a batch saves no time, and its last digits
    are others than alone. Those that go together are 1, 2, 4 and so on, as a GPU prepares itself for each number."""
    groups: dict[Any, list[int]] = {}
    for number, shape in enumerate(shapes):
        groups.setdefault(shape if together else number, []).append(number)
    results: dict[int, Result] = {}
    for numbers in groups.values():
        while numbers:
            size = 1 << (len(numbers).bit_length() - 1)
            part, numbers = numbers[:size], numbers[size:]
            results.update(zip(part, run([items[number] for number in part]), strict=True))
    return [results[number] for number in range(len(items))]


def reduced_size(picture: np.ndarray) -> tuple[int, int]:
    """(height, width) of a picture, (H, W, 3), reduced to MAX_SIDE where it is larger."""
    height, width = picture.shape[:2]
    scale = min(1.0, MAX_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def chosen(found: Found, order) -> Found:
    """Those of these numbers, in this order."""
    order = np.asarray(order, int)
    return replace(
        found,
        labels=[found.labels[index] for index in order],
        scores=found.scores[order],
        boxes=found.boxes[order],
        masks=None if found.masks is None else found.masks[order],
    )


def joined(parts: Sequence[Found]) -> Found:
    """What several passes found in one picture, as boxes alone, surest first."""
    return sorted_found(
        Found(
            [label for part in parts for label in part.labels],
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.boxes for part in parts]),
        )
    )


def sorted_found(found: Found) -> Found:
    """The same, surest first."""
    return chosen(found, np.argsort(-found.scores, kind="stable"))


def calibrated(scores: np.ndarray, power: float) -> np.ndarray:
    """scores ** power: with power = log(0.5) / log(c), the best cut c of a network becomes a score of 0.5."""
    return scores if power == 1 else scores**power
