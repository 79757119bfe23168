"""The order of boxes on a page whose lines run to the right."""

from collections.abc import Sequence

import numpy as np

from perception.reading.table import is_table

_GUTTER = 1.5


def reading_order(boxes: Sequence[Sequence[float]]) -> list[int]:
    """Indices of boxes (x1, y1, x2, y2) from top to bottom; boxes whose middles are within half a line height are one
    row, read left to right."""
    return [index for row in _rows(list(enumerate(boxes)), columns=False) for index, _ in row]


def rows_in_order(boxes: Sequence[Sequence[float]]) -> list[list[int]]:
    """The same as rows; columns of at least three lines with a wide gutter are read one after another, unless they are
    those of a table."""
    return [[index for index, _ in row] for row in _rows(list(enumerate(boxes)), columns=True)]


def _rows(pieces: list, columns: bool) -> list[list]:
    rows = []
    while pieces:
        column = _left_column(pieces) if columns else []
        if column:
            inside = {index for index, _ in column}
            rows += _rows(column, columns)
            pieces = [piece for piece in pieces if piece[0] not in inside]
            continue
        # One row at a time, so that columns under a heading are still seen as columns.
        ordered = sorted(pieces, key=lambda piece: piece[1][1] + piece[1][3])
        row = [ordered[0]]
        for piece in ordered[1:]:
            if not _same_row(piece[1], ordered[0][1]):
                break
            row.append(piece)
        rows.append(sorted(row, key=lambda piece: piece[1][0]))
        pieces = ordered[len(row) :]
    return rows


def _same_row(box: Sequence[float], other: Sequence[float]) -> bool:
    distance = abs((box[1] + box[3]) - (other[1] + other[3])) / 2
    return distance < 0.5 * min(box[3] - box[1], other[3] - other[1])


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
            tall = _count_rows(left) >= 3 and _count_rows(right) >= 3
            if tall and not is_table([box for _, box in left], [box for _, box in right]):
                return left
        edge = max(edge, ordered[index][1][2])
    return []


def _count_rows(pieces: list) -> int:
    boxes = sorted((box for _, box in pieces), key=lambda box: box[1])
    rows, bottom = 0, -np.inf
    for box in boxes:
        if (box[1] + box[3]) / 2 > bottom:
            rows, bottom = rows + 1, box[3]
    return rows
