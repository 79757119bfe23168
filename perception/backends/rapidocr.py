"""Text reading by RapidOCR, whose weights are in its wheel."""

import os
import threading
from typing import Any

import numpy as np

from perception.backends.backend import Backend, Option
from perception.builder import Builder
from perception.expert import ExpertUnavailable
from perception.forks import ProcessBound
from perception.reading import lines_of
from perception.scene import Scene

CORES_AN_ENGINE, MAX_ENGINES = 4, 8
"""Cores for each OCR engine, and how many engines there are at most; each reads one picture at a time."""


class RapidOCRReader(ProcessBound):
    """RapidOCR on onnxruntime, with the weights of its wheel: works offline.

    `engines` pictures are read at once, called from several threads; by default one for every four cores. Each engine
    is loaded when it is first needed.
    """

    _free: threading.Semaphore
    _idle: list

    def __init__(self, engines: int | None = None):
        cores = os.cpu_count() or 1
        self.engines = engines or max(1, min(cores // CORES_AN_ENGINE, MAX_ENGINES))
        # One engine alone takes the cores that it finds.
        self._threads = max(1, cores // self.engines) if self.engines > 1 else -1
        super().__init__()

    def _fresh(self) -> dict[str, Any]:
        return {"_free": threading.Semaphore(self.engines), "_idle": []}

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills `scene.text_lines` from (H, W, 3) uint8 RGB."""
        height, width = picture.shape[:2]
        with self._free:
            try:
                engine = self._idle.pop()
            except IndexError:
                engine = self._load()
            try:
                result = engine(np.ascontiguousarray(picture[..., ::-1]))
            finally:
                self._idle.append(engine)
        if result is None or result.txts is None:
            return
        scene.text_lines = lines_of(result.boxes, result.txts, result.scores, width, height)

    def _load(self):
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise ExpertUnavailable(
                "the package rapidocr is not installed; pip install rapidocr onnxruntime"
            ) from error
        # A shorter side of 480 pixels for finding lines (736 by default) halves the time, and drawn signs of 15-pixel
        # letters are read as well; larger pictures are not reduced by it.
        settings = {"Global.log_level": "critical", "Det.limit_side_len": 480}
        return RapidOCR(params=settings | {"EngineConfig.onnxruntime.intra_op_num_threads": self._threads})


def build(kind: str, weights: None, builder: Builder, **options) -> RapidOCRReader:
    """The reader."""
    return RapidOCRReader(**options)


BACKEND = Backend(name="rapidocr", kinds=("ocr",), build=build, options={"engines": Option(int, 1, MAX_ENGINES)})
