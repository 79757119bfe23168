"""Text reading by PaddleOCR, which fetches its models from a hub."""

import logging
import threading
from typing import Any

import numpy as np

from perception.backends.backend import Backend
from perception.builder import Builder
from perception.expert import ExpertUnavailable
from perception.forks import ProcessBound
from perception.reading import lines_of
from perception.scene import Scene


class PaddleOCRReader(ProcessBound):
    """PaddleOCR 3 with its Chinese and English models and line orientation, fetched by it at the first use."""

    _engine: Any
    _lock: threading.Lock

    def _fresh(self) -> dict[str, Any]:
        return {"_engine": None, "_lock": threading.Lock()}

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills `scene.text_lines` from (H, W, 3) uint8 RGB; raises ExpertUnavailable when there are no models."""
        height, width = picture.shape[:2]
        with self._lock:
            if self._engine is None:
                self._engine = self._load()
            result = self._engine.predict(np.ascontiguousarray(picture[..., ::-1]))[0]
        scene.text_lines = lines_of(result["rec_polys"], result["rec_texts"], result["rec_scores"], width, height)

    @staticmethod
    def _load():
        try:
            from paddleocr import PaddleOCR
        except ImportError as error:
            raise ExpertUnavailable(
                "the package paddleocr is not installed; pip install paddleocr paddlepaddle"
            ) from error
        logging.getLogger("paddlex").setLevel(logging.CRITICAL)
        try:
            return PaddleOCR(
                lang="ch",
                use_doc_orientation_classify=False,
                use_doc_unwarping=False,
                use_textline_orientation=True,
                # Faster, but fails on some processors; the plain path works on all.
                enable_mkldnn=False,
            )
        except Exception as error:
            raise ExpertUnavailable(
                "PaddleOCR's models are not on this machine and its hubs are out of reach; use ocr='rapidocr', or run "
                "it once with a network"
            ) from error


def build(kind: str, weights: None, builder: Builder) -> PaddleOCRReader:
    """The reader."""
    return PaddleOCRReader()


BACKEND = Backend(name="paddleocr", kinds=("ocr",), build=build)
