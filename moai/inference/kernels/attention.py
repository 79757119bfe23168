"""One token's attention to a cache, as a step of decoding has it: nothing behind a row's own position is read."""

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # torch brings it where it has CUDA
    triton = None

SPLIT = 128
"""Positions whose values one piece of the attention sums up; many pieces keep a whole chip busy with one row."""
_LEAST_ROWS = 16
"""Rows of a product with tensor cores; there are as many heads, at most, that share a key."""
_AT_ONCE = 16
"""Pieces that are put together at a time."""


def attend_cache(query: Tensor, keys: Tensor, values: Tensor, position: Tensor) -> Tensor:
    """One token's attention: query (B, H, G, d), keys and values (B, H, L, d), position (B,), the last that a row
    sees -> (B, H * G * d).

    G query heads share one of H key heads; L is a multiple of `SPLIT`. Softmax and sums are in fp32.
    """
    if can_attend(query, keys, values):
        return attend(query, keys, values, position)
    unseen = torch.arange(keys.shape[2], device=keys.device) > position[:, None]
    scores = (query @ keys.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    shares = scores.masked_fill(unseen[:, None, None], float("-inf")).softmax(dim=-1).to(values.dtype)
    pieces = shares.unflatten(-1, (-1, SPLIT)).transpose(2, 3) @ values.unflatten(2, (-1, SPLIT))
    return pieces.float().sum(dim=2).to(values.dtype).flatten(1)


def can_attend(query: Tensor, keys: Tensor, values: Tensor) -> bool:
    """Whether `attend` does this attention."""
    width = keys.shape[3]
    return (
        triton is not None
        and keys.is_cuda
        and keys.dtype in (torch.bfloat16, torch.float16)
        and query.dtype == keys.dtype == values.dtype
        and query.shape[2] <= _LEAST_ROWS
        and 16 <= width <= 256
        and width & (width - 1) == 0
        and keys.is_contiguous()
        and values.is_contiguous()
    )


def attend(query: Tensor, keys: Tensor, values: Tensor, position: Tensor) -> Tensor:
    """As `attend_cache`, by a kernel; each piece has its own softmax, whose sums are put together afterwards (as in
    Flash-Decoding, Dao et al. 2023)."""
    query, (rows, heads, group, width), length = query.contiguous(), query.shape, keys.shape[2]
    pieces = length // SPLIT
    sums = torch.empty(rows * heads, pieces, group, width, dtype=torch.float32, device=keys.device)
    most = torch.empty(rows * heads, pieces, group, dtype=torch.float32, device=keys.device)
    total = torch.empty_like(most)
    output = torch.empty(rows, heads * group * width, dtype=values.dtype, device=keys.device)
    sizes = {"GROUP": group, "WIDTH": width, "num_warps": 4}
    _attend[(rows * heads, pieces)](
        query,
        keys,
        values,
        position,
        sums,
        most,
        total,
        length,
        width**-0.5,
        HEADS=heads,
        ROWS=_LEAST_ROWS,
        SPLIT=SPLIT,
        **sizes,
    )
    _put_together[(rows * heads * group,)](sums, most, total, output, pieces, AT_ONCE=_AT_ONCE, **sizes)
    return output


if triton is not None:

    @triton.jit
    def _attend(
        query,
        keys,
        values,
        position,
        sums,
        most,
        total,
        length,
        scaling,
        HEADS: tl.constexpr,
        GROUP: tl.constexpr,
        WIDTH: tl.constexpr,
        ROWS: tl.constexpr,
        SPLIT: tl.constexpr,
    ):
        head, piece = tl.program_id(0), tl.program_id(1)
        pieces = tl.num_programs(1)
        last = tl.load(position + head // HEADS)
        one, wide = tl.arange(0, ROWS), tl.arange(0, WIDTH)
        is_one = one < GROUP
        at = (head * pieces + piece) * GROUP + one
        if piece * SPLIT > last:
            tl.store(most + at, float("-inf"), mask=is_one)
        else:
            token = piece * SPLIT + tl.arange(0, SPLIT)
            is_seen = token <= last
            # A cache may have more numbers than 32 bits count.
            places = (head.to(tl.int64) * length + token)[:, None] * WIDTH + wide[None, :]
            key = tl.load(keys + places, mask=is_seen[:, None], other=0.0)
            value = tl.load(values + places, mask=is_seen[:, None], other=0.0)
            asked = query + (head * GROUP + one)[:, None] * WIDTH + wide[None, :]
            scores = tl.dot(tl.load(asked, mask=is_one[:, None], other=0.0), key.T) * scaling
            scores = tl.where(is_seen[None, :], scores, float("-inf"))
            highest = tl.max(scores, axis=1)
            shares = tl.exp(scores - highest[:, None])
            tl.store(most + at, highest, mask=is_one)
            tl.store(total + at, tl.sum(shares, axis=1), mask=is_one)
            summed = tl.dot(shares.to(value.dtype), value)
            tl.store(sums + at[:, None] * WIDTH + wide[None, :], summed, mask=is_one[:, None])

    @triton.jit
    def _put_together(
        sums,
        most,
        total,
        output,
        pieces,
        GROUP: tl.constexpr,
        WIDTH: tl.constexpr,
        AT_ONCE: tl.constexpr,
    ):
        head = tl.program_id(0)
        wide, step = tl.arange(0, WIDTH), tl.arange(0, AT_ONCE)
        base = (head // GROUP) * pieces * GROUP + head % GROUP
        highest = float("-inf")
        weight = 0.0
        summed = tl.zeros((WIDTH,), dtype=tl.float32)
        for start in range(0, pieces, AT_ONCE):
            at = base + (start + step) * GROUP
            own = tl.load(most + at, mask=start + step < pieces, other=float("-inf"))
            before, highest = highest, tl.maximum(highest, tl.max(own, axis=0))
            shares, less = tl.exp(own - highest), tl.exp(before - highest)
            # What was not seen was not written either.
            is_seen = own > float("-inf")
            read = tl.load(sums + at[:, None] * WIDTH + wide[None, :], mask=is_seen[:, None], other=0.0)
            summed = summed * less + tl.sum(read * shares[:, None], axis=0)
            weight = weight * less + tl.sum(tl.load(total + at, mask=is_seen, other=0.0) * shares, axis=0)
        tl.store(output + head * WIDTH + wide, (summed / weight).to(output.dtype.element_ty))
