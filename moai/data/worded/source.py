"""Made-up scenes in words as a source: things of any name, street texts, number plates and receipts."""

from collections.abc import Iterator

import numpy as np

from moai.data.draws import weighted
from moai.data.example import Example, Meta
from moai.data.photographs.asking import Asking
from moai.data.photographs.makers import ask
from moai.data.rows import ImageRows, Rows, TextRows, WordRows
from moai.data.worded.questions import makers
from moai.data.worded.scenes import SORTS, made_up
from moai.data.worded.vocabulary import AnyLabel

_SIDE = 64


class Worded:
    """Examples whose questions the experts' words answer, endless. The labels are of no detector's list, so that what
    another expert says is understood as well. Where rows need a picture, it shows nothing: one colour, a slope, noise.

    Raises ValueError for rows that no expert speaks in.
    """

    class_names = ()

    def __init__(self, rows: Rows, seed: int) -> None:
        if isinstance(rows, ImageRows) and not rows.experts:
            raise ValueError("scenes in words have nothing to tell where no expert speaks; leave the source worded out")
        self.rows, self.seed = rows, seed

    def examples(self, position: int) -> Iterator[Example]:
        """The examples of one position, each with a scene of its own."""
        for number in range(self.rows.sizes.text_rows if isinstance(self.rows, TextRows) else 1):
            rng = np.random.default_rng((self.seed, position, number, 8))
            sort = weighted(rng, tuple(SORTS), tuple(SORTS.values()))
            truth, scene, kinds = made_up(rng, sort)
            meta = Meta(windows=True, rng=rng)
            if type(self.rows) is WordRows:
                yield Example(None, scene, meta=meta)
                continue
            labels = AnyLabel()
            asking = Asking(truth, scene, (labels, labels), rng)
            # Who hears that something may be there cannot say whether it is.
            unsure = {one.label for one in scene.part("possible")}
            asking.maybe, asking.there = asking.maybe | unsure, asking.there - unsure
            asked = ask(asking, self.rows.sizes.questions, makers(sort, kinds))
            image = nothing(rng) if isinstance(self.rows, ImageRows) else None
            yield Example(image, scene, [turn for _, turn in asked], meta)


def nothing(rng: np.random.Generator) -> np.ndarray:
    """A picture of nothing, (64, 64, 3) uint8: one colour, a slope between two, or noise of some grain."""
    first, second = rng.integers(0, 256, (2, 3))
    draw = rng.random()
    if draw < 0.3:
        return np.broadcast_to(first, (_SIDE, _SIDE, 3)).astype(np.uint8)
    if draw < 0.6:
        share = np.linspace(0, 1, _SIDE)[:, None, None]
        slope = np.broadcast_to(first * share + second * (1 - share), (_SIDE, _SIDE, 3))
        return np.ascontiguousarray(slope if rng.random() < 0.5 else slope.transpose(1, 0, 2)).astype(np.uint8)
    grain = int(rng.choice((1, 4, 16)))
    return rng.integers(0, 256, (_SIDE // grain, _SIDE // grain, 3), np.uint8).repeat(grain, 0).repeat(grain, 1)
