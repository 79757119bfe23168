"""Reading the prompt: the decoder with mixers and partial LoRA over all tokens at once, into a static cache."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from moai.inference.decoding import Bucket, Decoder, score
from moai.inference.fused import LayerWeights, rms_norm, rotated
from moai.inference.kernels.attention import SPLIT, attend_cache
from moai.inference.parts import Part, parts_of, take_down_gates, take_down_routes
from moai.inference.products import DenseWeights, SparseWeights, gate
from moai.models.fusion import Fusion, mix
from moai.models.sparse.record import LayerRoutes


def add_norm(residual: Tensor, delta: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """The sum of (N, D) and (N, D), and its norm."""
    residual = residual + delta
    return residual, rms_norm(residual, weight, epsilon)


def rotate_heads(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Query and key (B, S, heads, d) with their positions, each (B, heads, S, d); cos and sin (S, d)."""
    cos, sin = cos[:, None], sin[:, None]
    return tuple(rotated(states, cos, sin).transpose(1, 2) for states in (query, key))


def for_any_length(function: Callable, *dims: int) -> Callable:
    """`function` compiled once for prompts of every length: `dims` of its first arguments, one each, may change."""
    compiled = torch.compile(function, fullgraph=True)

    def call(*arguments):
        for argument, dim in zip(arguments, dims, strict=False):
            torch._dynamo.maybe_mark_dynamic(argument, dim)
        return compiled(*arguments)

    return call


class Prefill:
    """Fills a bucket's cache from a prompt.

    Rows are padded on the right: what stands behind a row's end is seen by no token before it, so attention needs no
    mask, and decoding overwrites it. With `compiled` what lies between the products is compiled, for any length.
    """

    def __init__(self, decoder: Decoder):
        self.decoder = decoder
        self.add_norm, self.rotate_heads, self.gate = add_norm, rotate_heads, gate
        if decoder.compiled:
            self.add_norm = for_any_length(add_norm, 0, 0)
            self.rotate_heads = for_any_length(rotate_heads, 1, 1, 0, 0)
            self.gate = for_any_length(gate, 0)

    def __call__(
        self,
        embeds: Tensor,
        lengths: Tensor,
        bucket: Bucket,
        fusion: Fusion | None,
    ) -> Tensor:
        """Logits (B, V) of each row's last token.

        embeds: (B, S, D) padded on the right, lengths: (B,), fusion: what `fuse` gave with the embeds.
        """
        with self.decoder.turn:
            while True:
                try:
                    return self._read(embeds, lengths, bucket, fusion)
                except torch.OutOfMemoryError:
                    if not self.decoder.can_hold_fewer:
                        raise
                # Behind the clause, as the error holds what the pass held.
                self.decoder.hold_fewer()

    def _read(self, embeds: Tensor, lengths: Tensor, bucket: Bucket, fusion: Fusion | None) -> Tensor:
        decoder = self.decoder
        parts = parts_of(embeds, fusion, decoder.at_once)
        for index, layer in enumerate(decoder.passing(True, parts[0].image_share is not None)):
            # A router says where all tokens go.
            if index == len(bucket.keys) - 1 and isinstance(layer.feed_forward, DenseWeights):
                for part in parts:
                    self._end(part, index, layer, bucket, lengths[part.rows])
                ends = [(part.residual, part.delta) for part in parts]
            else:
                said = [self._pass(part, index, layer, bucket) for part in parts]
                take_down_routes(fusion, index, said)
                ends = []
        take_down_gates(fusion, parts)
        ends = ends or [part.last(lengths[part.rows]) for part in parts]
        residual, delta = (torch.cat(one) if len(one) > 1 else one[0] for one in zip(*ends, strict=True))
        return score(residual, delta, decoder.norm, decoder.epsilon, decoder.head)

    def _pass(self, part: Part, index: int, layer: LayerWeights, bucket: Bucket) -> LayerRoutes | None:
        """One layer for some rows; what its router said, if it has one."""
        share, fed = part.image_share, layer.feed_forward
        query, key, value = self._heads(part, index, layer, bucket)
        shape = (query.shape[0], query.shape[2])
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        del query, key, value  # the feed-forward needs the room
        part.delta = layer.attended(attended.transpose(1, 2).reshape(len(part.residual), -1), share)
        del attended
        part.residual, normed = self.add_norm(part.residual, part.delta, layer.output_norm, self.decoder.epsilon)
        if isinstance(fed, DenseWeights):
            part.delta, routes = self._fed(normed, fed, share), None
        else:
            part.delta, routes = self._routed(normed, fed, share, shape)
        return routes

    def _end(self, part: Part, index: int, layer: LayerWeights, bucket: Bucket, lengths: Tensor) -> None:
        """The last layer for some rows: keys and values of all their tokens, all else of the last ones, (B, D)."""
        query, *pair = self._heads(part, index, layer, bucket)
        width = query.shape[2]
        ends = torch.arange(len(lengths), device=lengths.device) * width + lengths - 1
        key, value = (F.pad(one, (0, 0, 0, -width % SPLIT)) for one in pair)
        query = query.transpose(1, 2).flatten(0, 1)[ends].unflatten(1, (key.shape[1], -1))
        attended = attend_cache(query, key, value, lengths - 1)
        share = None if part.image_share is None else part.image_share[ends]
        delta = layer.attended(attended, share)
        # As written: so few rows would be compiled anew.
        part.residual, normed = add_norm(part.residual[ends], delta, layer.output_norm, self.decoder.epsilon)
        fed = layer.feed_forward
        assert isinstance(fed, DenseWeights)
        part.delta = fed.down(gate(fed.gated(normed, share)), share)

    def _heads(self, part: Part, index: int, layer: LayerWeights, bucket: Bucket) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value (B, heads, S, d) of a layer for some rows; the cache has these keys and values then."""
        fusion, head_dim = part.fusion, self.decoder.head_dim
        rows = part.rows.stop - part.rows.start
        width = len(part.residual) // rows
        part.residual, normed = self.add_norm(part.residual, part.delta, layer.input_norm, self.decoder.epsilon)
        if fusion is not None and fusion.aux is not None and str(index) in fusion.mixers:
            normed = mix(normed.unflatten(0, (rows, width)), str(index), fusion).flatten(0, 1)
        joined = layer.attention(normed, part.image_share).unflatten(0, (rows, width))
        query, key, value = (one.unflatten(-1, (-1, head_dim)) for one in joined.split(layer.attention.sizes, dim=-1))
        if layer.head_norms is not None:
            query, key = (
                rms_norm(one, norm, self.decoder.epsilon)
                for one, norm in zip((query, key), layer.head_norms, strict=True)
            )
        if layer.rotary:
            query, key = self.rotate_heads(query, key, bucket.cos[:width], bucket.sin[:width])
        else:
            query, key = query.transpose(1, 2), key.transpose(1, 2)
        value = value.transpose(1, 2)
        for kept, new in ((bucket.keys[index], key), (bucket.values[index], value)):
            kept[part.rows, :, :width].copy_(new)
        return query, key, value

    def _fed(self, normed: Tensor, weights: DenseWeights, image_share: Tensor | None) -> Tensor:
        return weights.down(self.gate(weights.gated(normed, image_share)), image_share)

    def _routed(
        self, normed: Tensor, weights: SparseWeights, image_share: Tensor | None, shape: tuple[int, int]
    ) -> tuple[Tensor, LayerRoutes]:
        logits, shares, chosen = weights.choices(normed)
        output = weights.product(normed, chosen, shares, image_share)
        if weights.shared is not None:
            output = output + self._fed(normed, weights.shared, image_share)
        return output, LayerRoutes(logits.softmax(dim=-1).unflatten(0, shape), chosen.unflatten(0, shape), None, None)
