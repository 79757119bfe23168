"""From the pieces of text that an OCR engine finds to lines in the order in which a person reads them."""

from collections.abc import Sequence

import numpy as np

from perception.scene import Box, TextLine

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
    boxes = [np.asarray(line.box) * scale for line in lines]
    merged: list[tuple[TextLine, np.ndarray]] = []
    for index in reading_order(boxes, columns=True):
        line, box = lines[index], boxes[index]
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


def reading_order(boxes: Sequence[Sequence[float]], columns: bool = False) -> list[int]:
    """Indices of boxes (x1, y1, x2, y2) from top to bottom; boxes whose middles are within half a line height are one
    row, read left to right. With `columns`, columns of at least three lines with a wide gutter are read one after
    another."""
    return [index for index, _ in _ordered(list(enumerate(boxes)), columns)]


def _ordered(pieces: list, columns: bool) -> list:
    if len(pieces) < 2:
        return pieces
    column = _left_column(pieces) if columns else []
    if column:
        inside = {index for index, _ in column}
        rest = [piece for piece in pieces if piece[0] not in inside]
        return _ordered(column, columns) + _ordered(rest, columns)
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
    return sorted(row, key=lambda piece: piece[1][0]) + _ordered(ordered[len(row) :], columns)


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


def lines_of(polygons, texts, scores, width: int, height: int) -> list[TextLine]:
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
