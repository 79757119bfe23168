"""Reading of photographs whose text people wrote down, and its speed: `python -m benchmarks.reading FOLDER`.

FOLDER holds pictures and `annotations.json`, as `moai.data.photographs.annotations` describes it.
"""

import argparse
import random
import re
import time
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from moai.data.photographs.annotations import read_photographs
from perception import Perception, TextLine
from perception.scene import Box

_PRICE, _WORDS = re.compile(r"\D{0,3}\d[\d,]*[.,]\d{2}"), re.compile("[A-Za-z]{2}")
AT_ONCE = 16
"""Pictures in one batch."""


def plain(text: str) -> str:
    """Letters and digits alone."""
    return "".join(letter for letter in text.upper() if letter.isalnum())


def prices(written: Sequence[TextLine]) -> list[tuple[TextLine, TextLine]]:
    """Each price that people wrote down, behind the words that stand to its left."""
    found = []
    for price in written:
        if price.box is None or not _PRICE.fullmatch(price.text.strip()):
            continue
        left, top, _, bottom = price.box
        beside = [
            one
            for one in written
            if one.box is not None
            and one.box[2] <= left + 0.01
            and one.box[1] < (top + bottom) / 2 < one.box[3]
            and _WORDS.search(one.text)
        ]
        if beside:
            found.append((max(beside, key=lambda one: one.box[2] if one.box else 0.0), price))
    return found


def line_at(lines: Sequence[TextLine], box: Box | None) -> int | None:
    """The number of the smallest line over the middle of a box."""
    if box is None:
        return None
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    over = [
        ((one.box[2] - one.box[0]) * (one.box[3] - one.box[1]), number)
        for number, one in enumerate(lines)
        if one.box is not None and one.box[0] <= x <= one.box[2] and one.box[1] <= y <= one.box[3]
    ]
    return min(over)[1] if over else None


def kept_rows(lines: Sequence[TextLine], written: Sequence[TextLine]) -> list[bool]:
    """For each price of which both it and its words were read: whether it comes right behind them."""
    places = [(line_at(lines, words.box), line_at(lines, price.box)) for words, price in prices(written)]
    return [after - before in (0, 1) for before, after in places if before is not None and after is not None]


def similarity(lines: Sequence[TextLine], text: str) -> float:
    """Of a line that people wrote down with the part of a line read that is most like it, 0..1."""
    wanted = plain(text)
    read = [plain(one.text) for one in lines]
    if any(wanted in one for one in read):
        return 1.0
    return max((SequenceMatcher(None, wanted, one, autojunk=False).ratio() for one in read), default=0.0)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder")
    parser.add_argument("--dataset", default="", help="pictures whose data set's name begins so")
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--experts", default=None, help="such as ocr; all of the preset unless given")
    parser.add_argument("--experts-from", default="photo")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    there = [one for one in read_photographs(given.folder) if one.dataset.startswith(given.dataset)]
    if not there:
        parser.error(f"no data set of {given.folder} begins with {given.dataset!r}")
    chosen = random.Random(0).sample(there, min(given.pictures, len(there)))
    perception = Perception(given.experts, experts_from=given.experts_from, cache_size=0)
    perception.batch([chosen[0].read()])
    fastest, scenes = (0.0, 0.0), []
    for _ in range(given.repeats):
        begun, spent = time.perf_counter(), time.process_time()
        parts = [chosen[start : start + AT_ONCE] for start in range(0, len(chosen), AT_ONCE)]
        scenes = [scene for part in parts for scene in perception.batch([one.read() for one in part])]
        rate = len(chosen) / (time.perf_counter() - begun)
        fastest = max(fastest, (rate, 1000 * (time.process_time() - spent) / len(chosen)))
    print(f"{len(chosen)} pictures: {fastest[0]:.2f} pictures/s, {fastest[1]:.0f} ms of a core for each")
    seen = list(zip(scenes, chosen, strict=True))
    alike = [similarity(scene.text_lines, line.text) for scene, one in seen for line in one.text_lines]
    if alike:
        whole = sum(value == 1 for value in alike)
        print(f"{len(alike)} lines: {whole} read, mean similarity {np.mean(alike):.3f}")
    rows = [kept_rows(scene.text_lines, one.text_lines) for scene, one in seen]
    if any(rows):
        right = sum(map(sum, rows))
        whole, of = sum(all(row) for row in rows if row), sum(bool(row) for row in rows)
        print(f"{sum(map(len, rows))} prices: {right} behind their words; in {whole} of {of} pictures all of them")


if __name__ == "__main__":
    main()
