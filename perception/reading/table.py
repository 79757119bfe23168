"""Tables: whether pieces of text on both sides of a gap belong together row by row, and which rows are a table's."""

from collections.abc import Sequence

import numpy as np

_ALIGNED = 0.7
"""Share of the pieces of a table's side that have one on their level on the other."""
_PROSE_WIDE, _PROSE_FULL = 6.0, 0.6
"""Lines of a column of prose are usually this many times as wide as high, and as large a share of the column."""
_CELL_WIDE = 10.0
_EDGE = 0.8
"""Edges of cells within this many heights are one below the other."""
_LEAST = 3
"""Rows of a table at least."""


def is_table(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> bool:
    """Whether boxes left and right of a gap stand on the same levels and are not both columns of prose."""
    fewer, more = sorted((np.array(left), np.array(right)), key=len)
    levels, others = (fewer[:, 1] + fewer[:, 3]) / 2, (more[:, 1] + more[:, 3]) / 2
    high, other_high = fewer[:, 3] - fewer[:, 1], more[:, 3] - more[:, 1]
    beside = np.abs(levels[:, None] - others) < 0.5 * np.minimum(high[:, None], other_high)
    return bool(beside.any(axis=1).mean() >= _ALIGNED) and not (_is_prose(fewer) and _is_prose(more))


def _is_prose(boxes: np.ndarray) -> bool:
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    full = boxes[:, 2].max() - boxes[:, 0].min()
    return bool(np.median(wide) >= max(_PROSE_WIDE * np.median(high), _PROSE_FULL * full))


def table_rows(rows: Sequence[Sequence[np.ndarray]]) -> list[bool]:
    """Which rows, each the boxes of its cells from left to right, belong to a table: a cell that is not their first
    stands below or above one of at least two other rows, at its left edge, middle or right edge."""
    spread = [index for index, row in enumerate(rows) if len(row) > 1 and not _is_wide(row)]
    found = [False] * len(rows)
    if len(spread) < _LEAST:
        return found
    cells = np.array([box for index in spread for box in rows[index][1:]])
    owner = np.array([index for index in spread for _ in rows[index][1:]])
    high = cells[:, 3] - cells[:, 1]
    edges = np.stack([cells[:, 0], cells[:, [0, 2]].mean(axis=1), cells[:, 2]], axis=1)
    for number, index in enumerate(owner):
        near = np.abs(edges - edges[number]) < _EDGE * high[number]
        if any(len(set(owner[near[:, edge]])) >= _LEAST for edge in range(3)):
            found[index] = True
    return found


def _is_wide(row: Sequence[np.ndarray]) -> bool:
    return all(box[2] - box[0] >= _CELL_WIDE * (box[3] - box[1]) for box in row)
