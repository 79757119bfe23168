"""Text reading by PaddleOCR, which fetches its models from a hub."""

import logging
import threading
from typing import Any

import numpy as np

from perception.backends.backend import ONOFF, Backend, OneOf, Option, Setting, Text
from perception.builder import Builder
from perception.expert import ExpertUnavailable
from perception.forks import ProcessBound
from perception.reading import as_read, lines_of
from perception.scene import Scene


class PaddleOCRReader(ProcessBound):
    """PaddleOCR 3, by default with its Chinese and English models and line orientation, fetched by it at the first use.

    `settings` are PaddleOCR's own, those of OPTIONS.
    """

    _engine: Any
    _lock: threading.Lock

    def __init__(self, **settings: Any):
        self.settings = settings
        super().__init__()

    def _fresh(self) -> dict[str, Any]:
        return {"_engine": None, "_lock": threading.Lock()}

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills `scene.text_lines` from (H, W, 3) uint8 RGB; raises ExpertUnavailable when there are no models."""
        height, width = picture.shape[:2]
        with self._lock:
            if self._engine is None:
                self._engine = self._load()
            result = self._engine.predict(np.ascontiguousarray(picture[..., ::-1]))[0]
        polygons = result["rec_polys"]
        turned = result.get("textline_orientation_angles", ())
        if len(turned) == len(polygons):
            polygons = [
                as_read(np.asarray(one), over == 1) if len(one) == 4 else one
                for one, over in zip(polygons, turned, strict=True)
            ]
        scene.text_lines = lines_of(polygons, result["rec_texts"], result["rec_scores"], width, height)

    def _load(self):
        try:
            from paddleocr import PaddleOCR
        except ImportError as error:
            raise ExpertUnavailable(
                "the package paddleocr is not installed; pip install paddleocr paddlepaddle"
            ) from error
        logging.getLogger("paddlex").setLevel(logging.CRITICAL)
        try:
            # Without oneDNN, which is faster but fails on some processors.
            return PaddleOCR(**{"lang": "ch", "enable_mkldnn": False, **_STAGES, **self.settings})
        except ValueError as error:
            raise ExpertUnavailable(f"PaddleOCR refuses its options ({str(error).strip().rstrip('.')})") from error
        except Exception as error:
            raise ExpertUnavailable(
                "PaddleOCR's models are not on this machine and its hubs are out of reach; use ocr='rapidocr', or run "
                "it once with a network"
            ) from error


def build(kind: str, weights: None, builder: Builder, **options) -> PaddleOCRReader:
    """The reader."""
    return PaddleOCRReader(**options)


_STAGES = {"use_doc_orientation_classify": False, "use_doc_unwarping": False, "use_textline_orientation": True}
_NAME, _FOLDER = Text("the name of a model of PaddleOCR"), Text("the path of a folder")
OPTIONS: dict[str, Setting] = {
    "lang": Text("a language as PaddleOCR calls it, such as en, german or japan", r"[A-Za-z_]+"),
    "ocr_version": OneOf(("PP-OCRv3", "PP-OCRv4", "PP-OCRv5", "PP-OCRv6")),
    "text_detection_model_name": _NAME,
    "text_detection_model_dir": _FOLDER,
    "text_recognition_model_name": _NAME,
    "text_recognition_model_dir": _FOLDER,
    "text_det_limit_side_len": Option(int, 32, 4096),
    "text_det_limit_type": OneOf(("min", "max")),
    "text_det_thresh": Option(float, 0.0, 1.0),
    "text_det_box_thresh": Option(float, 0.0, 1.0),
    "text_det_unclip_ratio": Option(float, 1.0, 4.0),
    **dict.fromkeys((*_STAGES, "enable_mkldnn"), ONOFF),
}
"""PaddleOCR's own names."""
BACKEND = Backend(name="paddleocr", kinds=("ocr",), build=build, options=OPTIONS)
