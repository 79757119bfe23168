"""Products of few rows with weights in 8 bits, as a step of decoding has them: the weights are read once, as they lie.

torch computes them without tensor cores, and written out as plain numbers weights take five times the memory's time.
"""

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # torch brings it where it has CUDA
    triton = None

MOST_ROWS = 32
"""Rows for which the kernel was faster than a product with weights that were written out before."""
_DEPTH, _COLUMNS = 256, 32
"""Of a weight's piece that one program reads at a time; of the sizes tried on an H100 the best for most shapes."""


def can_multiply(states: Tensor, numbers: Tensor, scale: Tensor, zero: Tensor | None = None) -> bool:
    """Whether `multiply` does this product."""
    return (
        triton is not None
        and states.is_cuda
        and states.dtype in (torch.bfloat16, torch.float16)
        and states.ndim == 2
        and 1 < len(states) <= MOST_ROWS
        and numbers.shape[1] % _DEPTH == 0
        and numbers.is_contiguous()
        and all(one.shape == (len(numbers), 1) and one.is_contiguous() for one in (scale, zero) if one is not None)
    )


def multiply(states: Tensor, numbers: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """states (R, in) of 16 bits times weights (numbers - zero) * scale -> (R, out), summed up in fp32.

    numbers: (out, in) int8, scale and zero: (out, 1), one for each row of them. `in` is a multiple of 256, R at most
    `MOST_ROWS`.
    """
    states, (rows, depth), columns = states.contiguous(), states.shape, len(numbers)
    # Cheaper than to shift every number.
    shift = scale if zero is None else states.float().sum(dim=1)
    output = states.new_empty(rows, columns)
    _multiply[(triton.cdiv(columns, _COLUMNS),)](
        states,
        numbers,
        scale,
        scale if zero is None else zero,
        shift,
        output,
        rows,
        columns,
        depth,
        SHIFTED=zero is not None,
        ROWS=16 if rows <= 16 else MOST_ROWS,
        COLUMNS=_COLUMNS,
        DEPTH=_DEPTH,
        num_warps=4 if rows <= 16 else 8,
        num_stages=4,
    )
    return output


if triton is not None:

    @triton.jit
    def _multiply(
        states,
        numbers,
        scale,
        zero,
        shift,
        output,
        rows,
        columns,
        depth,
        SHIFTED: tl.constexpr,
        ROWS: tl.constexpr,
        COLUMNS: tl.constexpr,
        DEPTH: tl.constexpr,
    ):
        own = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
        row, step = tl.arange(0, ROWS), tl.arange(0, DEPTH)
        is_row, is_column = row[:, None] < rows, own < columns
        at_states = states + row[:, None] * depth + step[None, :]
        # A weight may have more numbers than 32 bits count.
        at_numbers = numbers + own[:, None].to(tl.int64) * depth + step[None, :]
        total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
        for _ in range(0, depth, DEPTH):
            given = tl.load(at_states, mask=is_row, other=0.0)
            read = tl.load(at_numbers, mask=is_column[:, None], other=0, eviction_policy="evict_first")
            total = tl.dot(given, read.to(given.dtype).T, total)
            at_states += DEPTH
            at_numbers += DEPTH
        if SHIFTED:
            by = tl.load(zero + own, mask=is_column, other=0).to(tl.float32)
            total -= tl.load(shift + row, mask=row < rows, other=0.0)[:, None] * by[None, :]
        total *= tl.load(scale + own, mask=is_column, other=0.0).to(tl.float32)[None, :]
        places = output + row[:, None] * columns + own[None, :]
        tl.store(places, total.to(output.dtype.element_ty), mask=is_row & is_column[None, :])
