"""Text reading by RapidOCR, whose weights are in its wheel."""

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from perception.backends.backend import ONOFF, Backend, OneOf, Option, Setting, Text
from perception.builder import Builder
from perception.expert import ExpertUnavailable
from perception.forks import ProcessBound
from perception.guard.watch import Threads
from perception.networks.onnx import cuda_options, is_scarce, on_gpu, threads, workers
from perception.networks.textlines import TextLines
from perception.reading import lines_of
from perception.scene import Scene

MAX_ENGINES = 8


class RapidOCRReader(ProcessBound):
    """RapidOCR on onnxruntime, with the weights of its wheel: works offline.

    `engines` pictures are read at once, called from several threads, and as many lines; by default as the processor
    has room for. `device` as torch names it: a GPU is used where onnxruntime can, unless it is "cpu". The networks are
    loaded when they are first needed. `settings` are those of OPTIONS; other models than the wheel's are downloaded by
    RapidOCR at their first use.
    """

    _at_once: int
    _free: threading.Semaphore
    _lock: threading.Lock
    _lines: TextLines | None
    _threads: Threads

    def __init__(self, engines: int | None = None, device: str | None = None, **settings: Any):
        self.engines = engines
        self.device = device
        self.settings = settings
        super().__init__()

    def _fresh(self) -> dict[str, Any]:
        # Of this process: one that is one of many has fewer cores than the one that started it.
        at_once = self.engines or workers()
        return {
            "_at_once": at_once,
            "_free": threading.Semaphore(at_once),
            "_lock": threading.Lock(),
            "_lines": None,
            "_threads": Threads("line"),
        }

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills `scene.text_lines` from (H, W, 3) uint8 RGB."""
        height, width = picture.shape[:2]
        lines = self.load()
        with self._free:
            found = lines(np.ascontiguousarray(picture[..., ::-1]))
        if found:
            quads, texts, scores = zip(*found, strict=True)
            scene.text_lines = lines_of(quads, texts, scores, width, height)

    def load(self) -> TextLines:
        """Loads the networks if they are not there yet."""
        with self._lock:
            if self._lines is None:
                self._lines = self._ready()
            return self._lines

    def _ready(self) -> TextLines:
        engine = self._load()
        try:
            return TextLines(engine, self._each, partial(is_scarce, self.device) if on_gpu(self.device) else None)
        except Exception as error:
            if self.settings:
                raise self._refused() from error
            raise

    def _each(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list:
        return self._threads.each(work, items, self._at_once)

    def _load(self):
        try:
            from rapidocr import ModelType, OCRVersion, RapidOCR
        except ImportError as error:
            raise ExpertUnavailable(
                "the package rapidocr is not installed; pip install rapidocr onnxruntime"
            ) from error
        # A shorter side of 480 pixels for finding lines (736 by default) halves the time, and drawn signs of 15-pixel
        # letters are read as well; larger pictures are not reduced by it.
        params = {"Global.log_level": "critical", "Det.limit_side_len": 480}
        params["EngineConfig.onnxruntime.intra_op_num_threads"] = threads()
        if on_gpu(self.device):
            params["EngineConfig.onnxruntime.use_cuda"] = True
            for name, value in cuda_options(self.device).items():
                params[f"EngineConfig.onnxruntime.cuda_ep_cfg.{name}"] = value
        kinds = {"ocr_version": OCRVersion, "model_type": ModelType}
        try:
            for name, value in self.settings.items():
                for key in _KEYS[name]:
                    made = kinds.get(key.split(".")[1])
                    params[key] = value if made is None else made(value)
            return RapidOCR(params=params)
        except Exception as error:
            raise self._refused() from error

    def _refused(self) -> ExpertUnavailable:
        given = ", ".join(f"{name} {value}" for name, value in self.settings.items()) or "its own models"
        return ExpertUnavailable(f"RapidOCR cannot read with {given}; it may have no such models, or not reach them")


# What each setting is called by RapidOCR.
_KEYS = {
    "lang": ("Rec.lang_type",),
    "version": ("Det.ocr_version", "Rec.ocr_version"),
    "model_type": ("Det.model_type", "Rec.model_type"),
    "det_model_path": ("Det.model_path",),
    "rec_model_path": ("Rec.model_path",),
    "rec_keys_path": ("Rec.rec_keys_path",),
    "limit_side_len": ("Det.limit_side_len",),
    "limit_type": ("Det.limit_type",),
    "thresh": ("Det.thresh",),
    "box_thresh": ("Det.box_thresh",),
    "unclip_ratio": ("Det.unclip_ratio",),
    "turned_lines": ("Global.use_cls",),
}
_LANGUAGES = (
    "ch", "ch_doc", "en", "arabic", "chinese_cht", "cyrillic", "devanagari", "japan", "korean", "ka", "latin", "ta",
    "te", "eslav", "th", "el",
)  # fmt: skip
_FILE = Text("the path of a file")
OPTIONS: dict[str, Setting] = {
    "engines": Option(int, 1, MAX_ENGINES),
    "lang": OneOf(_LANGUAGES),
    "version": OneOf(("PP-OCRv4", "PP-OCRv5", "PP-OCRv6")),
    "model_type": OneOf(("mobile", "server", "tiny", "small", "medium")),
    "det_model_path": _FILE,
    "rec_model_path": _FILE,
    "rec_keys_path": _FILE,
    "limit_side_len": Option(int, 32, 4096),
    "limit_type": OneOf(("min", "max")),
    "thresh": Option(float, 0.0, 1.0),
    "box_thresh": Option(float, 0.0, 1.0),
    "unclip_ratio": Option(float, 1.0, 4.0),
    "turned_lines": ONOFF,
}
"""Language and models of what reads lines; the side of a picture that finds lines, `thresh` to `unclip_ratio` how it
finds them; `turned_lines`: whether lines that stand on their heads are turned."""


def build(kind: str, weights: None, builder: Builder, **options) -> RapidOCRReader:
    """The reader."""
    return RapidOCRReader(device=builder.device, **options)


BACKEND = Backend(name="rapidocr", kinds=("ocr",), build=build, options=OPTIONS)
