"""Reading the prompt: the decoder with mixers and partial LoRA over all tokens at once, into a static cache."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from moai.inference.decoding import Bucket, Decoder, score
from moai.inference.fused import LayerWeights, rms_norm, rotated
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
            return self._read(embeds, lengths, bucket, fusion)

    def _read(self, embeds: Tensor, lengths: Tensor, bucket: Bucket, fusion: Fusion | None) -> Tensor:
        rows, width, dim = embeds.shape
        image_share, mixed = None, set()
        if fusion is not None and fusion.image_mask is not None:
            image_share = fusion.image_mask.reshape(-1, 1).to(embeds.dtype)
        if fusion is not None and fusion.aux is not None:
            mixed = {int(name) for name in fusion.mixers}
        cos, sin = bucket.cos[:width], bucket.sin[:width]
        residual = embeds.reshape(-1, dim)
        delta = torch.zeros_like(residual)
        for index, layer in enumerate(self.decoder.passing(prompt=True, whole=image_share is not None)):
            residual, normed = self.add_norm(residual, delta, layer.input_norm, self.decoder.epsilon)
            if index in mixed:
                normed = mix(normed.view(rows, width, dim), str(index), fusion).view(-1, dim)
            joined = layer.attention(normed, image_share).view(rows, width, -1)
            cache = (bucket.keys[index], bucket.values[index])
            attended = self._attend(joined, layer, cache, cos, sin).reshape(rows * width, -1)
            delta = layer.attended(attended, image_share)
            residual, normed = self.add_norm(residual, delta, layer.output_norm, self.decoder.epsilon)
            weights = layer.feed_forward
            if isinstance(weights, DenseWeights):
                delta = self._fed(normed, weights, image_share)
            else:
                delta, routes = self._routed(normed, weights, image_share, (rows, width))
                if fusion is not None and fusion.experts is not None:
                    masks = {"token_mask": fusion.token_mask, "image_mask": fusion.image_mask}
                    fusion.experts.take(index, routes._replace(**masks))
        last = torch.arange(rows, device=embeds.device) * width + lengths - 1
        decoder = self.decoder
        return score(residual[last], delta[last], decoder.norm, decoder.epsilon, decoder.head)

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

    def _attend(
        self, joined: Tensor, layer: LayerWeights, cache: tuple[Tensor, Tensor], cos: Tensor, sin: Tensor
    ) -> Tensor:
        head_dim = self.decoder.head_dim
        query, key, value = (part.unflatten(-1, (-1, head_dim)) for part in joined.split(layer.attention.sizes, dim=-1))
        if layer.head_norms is not None:
            query, key = (
                rms_norm(one, norm, self.decoder.epsilon)
                for one, norm in zip((query, key), layer.head_norms, strict=True)
            )
        if layer.rotary:
            query, key = self.rotate_heads(query, key, cos, sin)
        else:
            query, key = query.transpose(1, 2), key.transpose(1, 2)
        value = value.transpose(1, 2)
        rows, _, width, _ = key.shape
        for kept, new in zip(cache, (key, value), strict=True):
            kept[:rows, :, :width].copy_(new)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        return attended.transpose(1, 2)
