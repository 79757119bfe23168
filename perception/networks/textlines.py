"""Finds and reads lines of text with the networks of RapidOCR, in steps of our own.

RapidOCR pads each line to the widest of its neighbours, and looks at long ones squeezed when it asks whether they stand
on their heads. Here a line is read by itself, so that it reads the same in any company.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

from perception.networks.onnx import EachSize
from perception.reading.direction import as_read

LONGEST, SHORTEST = 8, 30
"""A strip that is more than this many times as long as wide, or narrower than this many pixels, is framed."""
CLEAR = 0.9
"""How likely a line, or a page of ENOUGH lines, stands on its head before it is turned."""
ENOUGH = 3
WINDOW = 4.0
"""Times as wide as high is what is looked at to tell whether a line stands on its head."""
LEAST_WIDE, LEAST_ON_PAGES, STEP = 320, 96, 32
"""Widths in pixels that lines of 48 pixels are padded to: at least, at least where a picture has MANY, and multiples
of. The networks learned from lines of at least 320 pixels; those of receipts are read as well with less around them, in
two thirds of the time."""
MANY = 12
COARSE_SIDE, COARSE_WIDTH = 320, 160
"""Of what sides of pictures and widths of lines are multiples on a GPU, which prepares itself for each size."""
LOT = 8
"""Lines that a GPU reads in one pass; what is missing is filled up. Page after page of single lines would keep it busy
with next to nothing."""


class Line(NamedTuple):
    """A line: its quadrilateral (4, 2) in pixels, clockwise from where its text begins at the top, text and score."""

    quad: np.ndarray
    text: str
    score: float


class TextLines:
    """`engine`: a RapidOCR, whose settings hold. Safe to call from several threads.

    `mapped(work, items)` does some work for several items and returns the results in order, as `map` does. With
    `scarce`, which says whether memory is, pictures and lines are padded to few sizes, each with a session of its own,
    as a GPU wants it.
    """

    def __init__(
        self,
        engine: Any,
        mapped: Callable[[Callable, Iterable], Iterable] = map,
        scarce: Callable[[], bool] | None = None,
    ):
        self.engine = engine
        self.mapped = mapped
        self.together = scarce is not None
        self.step = COARSE_WIDTH if self.together else STEP
        self.detector = engine._load_det_model()
        self.classifier: Any = engine._load_cls_model() if engine.use_cls else None
        self.recogniser = engine._load_rec_model()
        if scarce is not None:
            settings = engine.cfg
            self.detector.session = partial(_in_canvas, _each_size(self.detector, settings.Det, scarce))
            self.recogniser.session = partial(_in_lots, _each_size(self.recogniser, settings.Rec, scarce))
            if self.classifier is not None:
                self.classifier.session = partial(_in_lots, _each_size(self.classifier, settings.Cls, scarce))

    def __call__(self, picture: np.ndarray) -> list[Line]:
        """The lines of (H, W, 3) uint8 BGR, in no order."""
        from rapidocr.utils.process_img import get_rotate_crop_image, map_boxes_to_original

        height, width = picture.shape[:2]
        fitted, steps = self.engine.preprocess_img(picture)
        fitted, steps["padding_1"] = framed(fitted)
        found = self.detector(fitted).boxes
        if found is None or not len(found):
            return []
        found = np.asarray(found, np.float32)
        crops = [get_rotate_crop_image(fitted, quad.copy()) for quad in found]
        quads = map_boxes_to_original(found.copy(), steps, height, width)
        turned = self._turned(crops)
        upright = [crop[::-1, ::-1] if over else crop for crop, over in zip(crops, turned, strict=True)]
        read = self._read_all(upright)
        return [
            Line(as_read(quad, over), text, score)
            for quad, over, (text, score) in zip(quads, turned, read, strict=True)
        ]

    def _turned(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Which crops stand on their heads. Short ones are hard to tell, so they follow the lines of their page."""
        if self.classifier is None:
            return np.zeros(len(crops), bool)
        likely = self._likely_turned(crops)
        wide = np.array([crop.shape[1] / crop.shape[0] for crop in crops])
        turned, short = likely > CLEAR, wide < WINDOW
        if len(crops) >= ENOUGH and not short.all():
            page = float(np.average(likely[~short], weights=wide[~short]))
            if page > CLEAR:
                turned[short] = likely[short] > 1 - CLEAR
            elif page < 1 - CLEAR:
                turned[short] = False
        return turned

    def _likely_turned(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """How likely each crop stands on its head, (N,): of a long one, its two ends are looked at."""
        ends = [_ends(crop) for crop in crops]
        lots = [[end for own in ends for end in own]] if self.together else ends
        likely = np.concatenate(list(self.mapped(self._each_turned, lots)))
        starts = np.cumsum([0, *map(len, ends)])
        return np.array([likely[start:stop].mean() for start, stop in pairwise(starts)])

    def _each_turned(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        given = np.stack([self.classifier.resize_norm_img(crop) for crop in crops]).astype(np.float32)
        turned = list(self.classifier.postprocess_op.label_list).index("180")
        return self.classifier.session(given)[:, turned]

    def _read_all(self, crops: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        """Text and score (0..1) of each line."""
        least = LEAST_ON_PAGES if len(crops) >= MANY else LEAST_WIDE
        line = self.recogniser.rec_image_shape[1]
        widths = [max(least, math.ceil(line * crop.shape[1] / crop.shape[0] / self.step) * self.step) for crop in crops]
        # The longest first, so that no core waits for it in the end.
        order = sorted(range(len(crops)), key=lambda number: -widths[number])
        lots = [list(lot) for _, lot in groupby(order, lambda number: widths[number] if self.together else number)]
        read = self.mapped(lambda lot: self._read([crops[number] for number in lot], widths[lot[0]]), lots)
        found = {number: one for lot, own in zip(lots, read, strict=True) for number, one in zip(lot, own, strict=True)}
        return [found[number] for number in range(len(crops))]

    def _read(self, crops: Sequence[np.ndarray], width: int) -> list[tuple[str, float]]:
        """Texts and scores of lines padded to a width in pixels."""
        ratio = width / self.recogniser.rec_image_shape[1] + 1e-6
        given = np.stack([self.recogniser.resize_norm_img(np.ascontiguousarray(crop), ratio) for crop in crops])
        read, _ = self.recogniser.postprocess_op(self.recogniser.session(given))
        return [(self._logical(text), float(score)) for text, score in read]

    def _logical(self, text: str) -> str:
        """The text as it is spelt: what runs from right to left was read from left to right."""
        from rapidocr.ch_ppocr_rec.main import RTL_LANGS, normalize_lang, reorder_bidi_for_display

        rtl = normalize_lang(self.recogniser.cfg.lang_type) in RTL_LANGS
        return str(reorder_bidi_for_display((text,))[0]) if rtl else text


def _each_size(part: Any, settings: Any, scarce: Callable[[], bool]) -> Callable[[np.ndarray], np.ndarray]:
    """What runs a part of RapidOCR, with a session for each size."""
    kind: Any = type(part.session)
    sessions = EachSize(part.session, lambda: kind(settings), scarce)
    return lambda given: sessions.run(given, lambda one: one(given))


def _in_lots(session: Callable[[np.ndarray], np.ndarray], given: np.ndarray) -> np.ndarray:
    """What a network says of each of (N, 3, H, W), in passes of LOT."""
    filled = np.pad(given, ((0, -len(given) % LOT), (0, 0), (0, 0), (0, 0)))
    return np.concatenate([session(part) for part in np.split(filled, len(filled) // LOT)])[: len(given)]


def _ends(crop: np.ndarray) -> list[np.ndarray]:
    high, wide = crop.shape[:2]
    window = round(WINDOW * high)
    return [crop] if wide <= 1.5 * window else [crop[:, :window], crop[:, -window:]]


def _in_canvas(session: Callable[[np.ndarray], np.ndarray], given: np.ndarray) -> np.ndarray:
    """What a network says of (1, 3, H, W), (1, 1, H, W), with its edges going on at the right and below: it also hears
    of averages over the whole, which grey would shift."""
    height, width = given.shape[2:]
    more = ((0, 0), (0, 0), (0, -height % COARSE_SIDE), (0, -width % COARSE_SIDE))
    return session(np.pad(given, more, mode="edge"))[:, :, :height, :width]


def framed(picture: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """A picture, (H, W, 3), and how far it is from the top and left of itself: a strip stands in a frame that goes on
    with the colours of its edges, since lines that fill a picture are hard to find."""
    import cv2

    height, width = picture.shape[:2]
    top = _margin(height, width) if width > LONGEST * height or height <= SHORTEST else 0
    left = _margin(width, height) if height > LONGEST * width or width <= SHORTEST else 0
    if top or left:
        picture = cv2.copyMakeBorder(picture, top, top, left, left, cv2.BORDER_REPLICATE)
    return picture, {"top": top, "left": left}


def _margin(short: int, long: int) -> int:
    return abs(2 * max(long // LONGEST, SHORTEST) - short) // 2
