"""Counting the operations of attention whose query heads share key heads, which torch's own counter refuses."""

import torch
from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

_aten = torch.ops.aten


def attention_flops(query: tuple, key: tuple, value: tuple, *_, out_shape=None, **__) -> int:
    """Operations of one attention of shapes (B, H, S, d) and (B, G, S, d): each of H query heads reads one of G."""
    return sdpa_flop_count(query, *_for_each_query_head(query, key, value))


def attention_backward_flops(gradient: tuple, query: tuple, key: tuple, value: tuple, *_, out_shape=None, **__) -> int:
    """The same for its gradient."""
    return sdpa_backward_flop_count(gradient, query, *_for_each_query_head(query, key, value))


def _for_each_query_head(query: tuple, *shared: tuple) -> list[tuple]:
    return [(one[0], query[1], *one[2:]) for one in shared]


SHARED_HEADS = {
    getattr(_aten, f"_scaled_dot_product_{kernel}_attention{ending}"): count
    for kernel in ("flash", "efficient", "cudnn")
    for ending, count in (("", attention_flops), ("_backward", attention_backward_flops))
}
"""For FlopCounterMode's `custom_mapping`."""
