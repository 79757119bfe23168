"""Pieces of text become lines: those beside each other join, and so do the cells of a table's row."""

from collections.abc import Sequence, Set
from typing import Any

import numpy as np

from perception.kinds.ocr import OCR_THRESHOLD
from perception.reading.direction import boxes_along, pages
from perception.reading.order import rows_in_order
from perception.reading.table import table_rows
from perception.scene import TextLine

MIN_SCORE = 0.5
"""Lines below are not reported; verbalisation keeps those from OCR_THRESHOLD."""

_SAME_HEIGHT = 0.65
_WORD_GAP = 0.7


def lines_of(polygons, texts, scores, width: int, height: int) -> list[TextLine]:
    """TextLines of an OCR engine's polygons in pixels, texts and scores, as a person reads them.

    A polygon is (4, 2), clockwise from where its text begins at the top of its letters, so that it tells which way
    the text runs; of one with more corners, the upright extent counts. `width` and `height` of the picture in pixels.

    Pieces join when they are about as high, on one level and less than about a space apart. Lines are ordered from
    top to bottom of the page as its reader holds it, within a row from left to right; columns of at least three lines
    with a wide gutter are read one after another, unless they are those of a table, whose rows become lines.
    """
    quads, kept = [], []
    for polygon, text, score in zip(polygons, texts, scores, strict=True):
        text = " ".join(str(text).split())
        if text and score >= MIN_SCORE:
            quads.append(_quad(np.asarray(polygon, float).reshape(-1, 2)))
            kept.append((text, float(min(max(score, 0.0), 1.0))))
    return _lines(np.array(quads).reshape(-1, 4, 2), kept, width, height)


def merge_lines(lines: Sequence[TextLine], width: int, height: int) -> list[TextLine]:
    """The same for upright pieces, which have boxes."""
    scale = np.array([width, height, width, height], float)
    quads = [_corners(np.asarray(line.box) * scale) for line in lines]
    return _lines(np.array(quads).reshape(-1, 4, 2), [(line.text, line.score) for line in lines], width, height)


def _corners(box: np.ndarray) -> np.ndarray:
    return box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)


def _quad(points: np.ndarray) -> np.ndarray:
    return points if len(points) == 4 else _corners(np.concatenate([points.min(axis=0), points.max(axis=0)]))


def _lines(quads: np.ndarray, said: list[tuple[str, float]], width: int, height: int) -> list[TextLine]:
    if not said:
        return []
    made = []
    for numbers in _arranged(quads, said):
        text, score = said[numbers[0]]
        for number in numbers[1:]:
            more, its = said[number]
            share = len(text) / max(1, len(text) + len(more))
            text, score = f"{text} {more}", score * share + its * (1 - share)
        points = np.clip(quads[numbers].reshape(-1, 2) / (width, height), 0, 1)
        made.append(TextLine(text, score, (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())))
    return made


def _arranged(quads: np.ndarray, said: list[tuple[str, float]]) -> list[list[int]]:
    """The numbers of the pieces of each line, in order. Text that runs another way than most is read where it is, by
    itself."""
    (angle, numbers), *others = pages(quads, [text for text, _ in said])
    parts = [[number] for number in numbers.tolist()] + [part.tolist() for _, part in others]
    boxes = boxes_along(quads, angle)
    around = [np.concatenate([boxes[part, :2].min(axis=0), boxes[part, 2:].max(axis=0)]) for part in parts]
    inner: dict[int, list[list[int]]] = {}
    for place, (its, part) in enumerate(others, len(numbers)):
        inner[place] = [part[line].tolist() for line in _page(boxes_along(quads[part], its), [said[k] for k in part])]
    alone = set(range(len(numbers), len(parts)))
    arranged = []
    for line in _page(around, [said[part[0]] for part in parts], alone):
        arranged += inner.get(line[0]) or [[parts[place][0] for place in line]]
    return arranged


def _page(boxes: Any, said: list[tuple[str, float]], alone: Set[int] = frozenset()) -> list[list[int]]:
    """The numbers of the boxes (N, 4) of each line of a page whose lines run right; those `alone` do not join."""
    cells: list[list[int]] = []
    extents: list[np.ndarray] = []
    rows: list[list[int]] = []
    for row in rows_in_order(boxes):
        rows.append([])
        for number in row:
            box = np.asarray(boxes[number])
            if cells and not alone & {cells[-1][-1], number} and _continues(extents[-1], box):
                cells[-1].append(number)
                extents[-1] = np.concatenate(
                    [np.minimum(extents[-1][:2], box[:2]), np.maximum(extents[-1][2:], box[2:])]
                )
            else:
                rows[-1].append(len(cells))
                cells.append([number])
                extents.append(box)
    tabular = table_rows([[extents[cell] for cell in row] for row in rows])
    lines = []
    for row, whole in zip(rows, tabular, strict=True):
        joined: dict[bool, list[int]] = {}
        for cell in row:
            # What is too unsure to be said must not come in with what is sure, nor hide it.
            sure = min(said[number][1] for number in cells[cell]) >= OCR_THRESHOLD
            if not whole or alone & set(cells[cell]):
                lines.append(cells[cell])
            elif sure in joined:
                joined[sure] += cells[cell]
            else:
                joined[sure] = list(cells[cell])
                lines.append(joined[sure])
    return lines


def _continues(left: np.ndarray, right: np.ndarray) -> bool:
    high, low = left[3] - left[1], right[3] - right[1]
    level = abs((left[1] + left[3]) - (right[1] + right[3])) / 2 < 0.35 * min(high, low)
    gap = right[0] - left[2]
    return level and min(high, low) > _SAME_HEIGHT * max(high, low) and -0.5 * low < gap < _WORD_GAP * min(high, low)
