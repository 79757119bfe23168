"""Text reading: RapidOCR (its weights are in its wheel) or PaddleOCR (its weights come from a hub)."""

import logging
import os
import threading
from collections.abc import Callable, Sequence

import numpy as np

from perception.expert import Expert, ExpertUnavailable
from perception.scene import Box, Scene, TextLine

CORES_AN_ENGINE, MAX_ENGINES = 4, 8
"""Cores for each OCR engine, and how many engines there are at most; each reads one picture at a time."""
MIN_SCORE = 0.5
"""Lines below are not reported; verbalisation keeps those from 0.85."""

_SAME_HEIGHT = 0.65
_WORD_GAP = 0.7
_GUTTER = 1.5


def merge_lines(lines: Sequence[TextLine], width: int, height: int) -> list[TextLine]:
    """Joins pieces that stand beside each other on one line, and orders lines as a person reads them.

    Pieces join when they are about as high, on one level and less than about a space apart. Lines are ordered from
    top to bottom, within a row from left to right; columns of at least three lines with a wide gutter are read one
    after another. `width` and `height` of the picture in pixels. Lines must have boxes.
    """
    scale = np.array([width, height, width, height], float)
    pieces = [(line, np.asarray(line.box) * scale) for line in lines]
    ordered = _reading_order(pieces)
    merged: list[tuple[TextLine, np.ndarray]] = []
    for line, box in ordered:
        if merged and _continues(merged[-1][1], box):
            before, old = merged[-1]
            share = len(before.text) / max(1, len(before.text) + len(line.text))
            score = before.score * share + line.score * (1 - share)
            box = np.array([min(old[0], box[0]), min(old[1], box[1]), max(old[2], box[2]), max(old[3], box[3])])
            merged[-1] = (TextLine(f"{before.text} {line.text}", score, tuple((box / scale).tolist())), box)
        else:
            merged.append((line, box))
    return [line for line, _ in merged]


def _continues(left: np.ndarray, right: np.ndarray) -> bool:
    high, low = left[3] - left[1], right[3] - right[1]
    level = abs((left[1] + left[3]) - (right[1] + right[3])) / 2 < 0.35 * min(high, low)
    gap = right[0] - left[2]
    return level and min(high, low) > _SAME_HEIGHT * max(high, low) and -0.5 * low < gap < _WORD_GAP * min(high, low)


def _reading_order(pieces: list) -> list:
    if len(pieces) < 2:
        return pieces
    column = _left_column(pieces)
    if column:
        rest = [piece for piece in pieces if not any(piece is one for one in column)]
        return _reading_order(column) + _reading_order(rest)
    # One row at a time, so that columns under a heading are still seen as columns.
    ordered = sorted(pieces, key=lambda piece: piece[1][1] + piece[1][3])
    _, first = ordered[0]
    row = [ordered[0]]
    for piece in ordered[1:]:
        box = piece[1]
        distance = abs((box[1] + box[3]) - (first[1] + first[3])) / 2
        if distance >= 0.5 * min(box[3] - box[1], first[3] - first[1]):
            break
        row.append(piece)
    return sorted(row, key=lambda piece: piece[1][0]) + _reading_order(ordered[len(row) :])


def _left_column(pieces: list) -> list:
    """The pieces left of a wide vertical gutter with at least three lines on either side of it, or none."""
    if len(pieces) < 6:
        return []
    gutter = _GUTTER * float(np.median([box[3] - box[1] for _, box in pieces]))
    ordered = sorted(pieces, key=lambda piece: piece[1][0])
    edge = ordered[0][1][2]
    for index in range(1, len(ordered)):
        if index >= 3 and len(ordered) - index >= 3 and ordered[index][1][0] - edge >= gutter:
            left, right = ordered[:index], ordered[index:]
            if _rows(left) >= 3 and _rows(right) >= 3:
                return left
        edge = max(edge, ordered[index][1][2])
    return []


def _rows(pieces: list) -> int:
    boxes = sorted((box for _, box in pieces), key=lambda box: box[1])
    rows, bottom = 0, -np.inf
    for box in boxes:
        if (box[1] + box[3]) / 2 > bottom:
            rows, bottom = rows + 1, box[3]
    return rows


def _lines(polygons, texts, scores, width: int, height: int) -> list[TextLine]:
    """TextLines of an OCR engine's polygons (K, 2) in pixels, texts and scores."""
    lines = []
    for polygon, text, score in zip(polygons, texts, scores, strict=True):
        text = " ".join(str(text).split())
        if not text or score < MIN_SCORE:
            continue
        points = np.clip(np.asarray(polygon, float).reshape(-1, 2) / (width, height), 0, 1)
        box: Box = (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
        lines.append(TextLine(text, float(min(max(score, 0.0), 1.0)), box))
    return merge_lines(lines, width, height)


class RapidOCRReader:
    """RapidOCR on onnxruntime, with the weights of its wheel: works offline.

    `engines` pictures are read at once, called from several threads; by default one for every four cores. Each engine
    is loaded when it is first needed.
    """

    name = "ocr"

    def __init__(self, engines: int | None = None):
        cores = os.cpu_count() or 1
        engines = engines or max(1, min(cores // CORES_AN_ENGINE, MAX_ENGINES))
        # One engine alone takes the cores that it finds.
        self._threads = max(1, cores // engines) if engines > 1 else -1
        self._free = threading.Semaphore(engines)
        self._idle: list = []

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
        scene.text_lines = _lines(result.boxes, result.txts, result.scores, width, height)

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


class PaddleOCRReader:
    """PaddleOCR 3 with its Chinese and English models and line orientation, fetched by it at the first use."""

    name = "ocr"

    def __init__(self):
        self._engine = None
        self._lock = threading.Lock()

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills `scene.text_lines` from (H, W, 3) uint8 RGB; raises ExpertUnavailable when there are no models."""
        height, width = picture.shape[:2]
        with self._lock:
            if self._engine is None:
                self._engine = self._load()
            result = self._engine.predict(np.ascontiguousarray(picture[..., ::-1]))[0]
        scene.text_lines = _lines(result["rec_polys"], result["rec_texts"], result["rec_scores"], width, height)

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


BACKENDS: dict[str, Callable[[], Expert]] = {"rapidocr": RapidOCRReader, "paddleocr": PaddleOCRReader}


def build_ocr(name: str) -> Expert:
    """The reader called `rapidocr` or `paddleocr`; raises ValueError for another name."""
    if name not in BACKENDS:
        raise ValueError(f"unknown OCR backend {name!r}; allowed are {', '.join(BACKENDS)}")
    return BACKENDS[name]()
