"""Decoding after the prompt: one step of a plain decoder on a static cache, compiled and captured as one CUDA graph.

Nothing of MoAI takes part. A step's shapes depend on the bucket alone (rows and cache length), so another question does
not compile anything anew; what fills the bucket is told by positions on the device.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moai.inference.choosing import Part, choose, next_step
from moai.inference.fused import LayerWeights, layer_weights, places, rms_norm, rotated
from moai.inference.graphs import CAPTURING
from moai.inference.kernels.attention import attend_cache
from moai.inference.products import SparseWeights, feed_token, project
from moai.inference.ring.layers import Ring
from moai.inference.ring.needs import decoder_needs, inner_width
from moai.inference.ring.plan import Plan
from moai.inference.ring.streaming import ring_of

_LENGTH_STEP, _LONG_STEP, _LONG = 512, 2048, 4096
TUNED = {"coordinate_descent_tuning": True}
"""Options of torch.compile: products of one row with a matrix reach the memory's speed only as tuned kernels."""
_MAX_COMPILED = 64
"""Buckets that may be compiled in one process."""


def bucket_rows(rows: int) -> int:
    """The rows of the bucket for `rows` conversations: the next power of two."""
    return 1 << (rows - 1).bit_length()


def bucket_length(length: int) -> int:
    """The cache length of the bucket for `length` tokens of prompt and answer."""
    step = _LENGTH_STEP if length <= _LONG else _LONG_STEP
    return -(-length // step) * step


def decode_layer(
    residual: Tensor,
    delta: Tensor,
    layer: LayerWeights,
    epsilon: float,
    keys: Tensor,
    values: Tensor,
    position: Tensor,
    cos: Tensor,
    sin: Tensor,
    routes: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One decoder layer for one token a row; writes its key and value, and the routes it took, into the cache.

    residual and delta: (B, D), their sum enters the layer, and the sum of the two results leaves it (so that adding
    them can be one kernel with the next norm). keys, values: (B, H, L, d); position: (B,) where the token stands;
    cos, sin: (B, d); routes: (B, 1, L, K), of a sparse layer.
    """
    rows, heads, head_dim = keys.shape[0], keys.shape[1], keys.shape[3]
    residual = residual + delta
    normed = rms_norm(residual, layer.input_norm, epsilon)
    joined = project(normed, layer.attention.weights, layer.attention.biases)
    query, key, value = joined.split(layer.attention.sizes, dim=-1)
    query, key = query.view(rows, -1, head_dim), key.view(rows, heads, head_dim)
    if layer.head_norms is not None:
        query, key = (rms_norm(one, norm, epsilon) for one, norm in zip((query, key), layer.head_norms, strict=True))
    if layer.rotary:
        query, key = (rotated(one, cos[:, None], sin[:, None]) for one in (query, key))
    every = torch.arange(rows, device=keys.device)
    keys[every, :, position] = key
    values[every, :, position] = value.view(rows, heads, head_dim)
    attended = attend_cache(query.view(rows, heads, -1, head_dim), keys, values, position)
    residual = residual + project(attended, layer.attended.weights, layer.attended.biases)
    normed = rms_norm(residual, layer.output_norm, epsilon)
    delta, chosen = feed_token(normed, layer.feed_forward)
    if routes is not None and chosen is not None:
        routes[every, 0, position] = chosen.to(routes.dtype)
    return residual, delta


def score(residual: Tensor, delta: Tensor, norm: Tensor, epsilon: float, head: Tensor) -> Tensor:
    """Logits (B, V) of what the last layer left, (B, D) each."""
    return F.linear(rms_norm(residual + delta, norm, epsilon), head)


class Way(NamedTuple):
    """How steps choose: by a draw or the best, against weak rows in the second half of the bucket, and whether they
    tell log-probabilities and where contrast chose otherwise. `drawn`: of a part of a batch, for how many rows told
    steps draw (`moai.inference.choosing.Part`); 0 where there is no more than the bucket."""

    sampled: bool = False
    contrasted: bool = False
    told: bool = False
    drawn: int = 0


PLAIN = Way()


@dataclass
class Bucket:
    """The tensors of one bucket, at fixed addresses: what a step reads and writes.

    `tokens` (B,) the last tokens, `position` (B,) where they stand, `keys` and `values` (B, H, L, d) of each layer,
    `routes` (B, 1, L, K) that tokens took in each sparse layer, None for dense ones,
    `cos` and `sin` (L, d), `temperature`, `top_p`, `strength` and `plausible` scalars; `logprobs` and `changed` (B,)
    what steps tell of the last tokens, `logits` (B, V) what those were chosen from, `places` (B,) where rows of a part
    stand in the whole; `graphs` the captured steps, by
    their `Way`, `prompts` what `moai.inference.captured` keeps, by its shapes, `parts` views of the rows from some row
    on.
    """

    tokens: Tensor
    position: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    routes: tuple[Tensor | None, ...]
    cos: Tensor
    sin: Tensor
    temperature: Tensor
    top_p: Tensor
    strength: Tensor
    plausible: Tensor
    logprobs: Tensor
    changed: Tensor
    logits: Tensor
    places: Tensor
    graphs: dict[Way, torch.cuda.CUDAGraph] = field(default_factory=dict)
    prompts: dict[tuple, Any] = field(default_factory=dict)
    parts: dict[int, "Bucket"] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Tokens that the cache holds."""
        return self.cos.shape[0]

    @property
    def caches(self) -> tuple[Tensor, ...]:
        """Whatever is kept of each token, (B, ..., L, ...) with positions in the third dimension."""
        return (*self.keys, *self.values, *(one for one in self.routes if one is not None))

    def routes_of(self, lengths: Tensor, count: int, first: int = 0) -> dict[int, Tensor]:
        """By sparse layer, routes (N, count, K) of tokens behind the first `lengths` (N,) of N rows from `first` on."""
        places = lengths[:, None] + torch.arange(count, device=lengths.device)
        every = torch.arange(first, first + len(lengths), device=lengths.device)[:, None]
        return {layer: one[every, 0, places].long() for layer, one in enumerate(self.routes) if one is not None}

    def part(self, start: int) -> "Bucket":
        """The rows from `start` on, for prompts to be read into."""
        if start not in self.parts:
            keys, values = (tuple(one[start:] for one in ones) for ones in (self.keys, self.values))
            routes = tuple(None if one is None else one[start:] for one in self.routes)
            own = {"keys": keys, "values": values, "routes": routes}
            self.parts[start] = replace(self, **own, graphs={}, prompts={}, parts={})
        return self.parts[start]


class Decoder:
    """A decoder like Llama's with its head, on a static cache; made for inference, one conversation batch at a time.

    `decoder` is transformers' model without its head, of a family in `moai.inference.fused.LLAMA_LIKE`, `head` its
    output linear. With `compiled` a layer is compiled once for each bucket, with `options` of torch.compile; without,
    it runs as written. With `captured` the whole step is one graph on CUDA. A decoder that `moai.inference.ring` has
    left on the host lends its layers to one step after another, and a step is a graph only while all of them are on
    the device.
    """

    def __init__(
        self, decoder: nn.Module, head: nn.Linear, compiled: bool, options: dict | None = None, captured: bool = False
    ):
        self.layers = layer_weights(decoder)
        self.ring, self.config = ring_of(decoder), decoder.config
        self.width = max(map(inner_width, self.layers))
        fed = {number: layer.feed_forward for number, layer in enumerate(self.layers)}
        self.active = {number: one.active for number, one in fed.items() if isinstance(one, SparseWeights)}
        """Experts that a token takes, by sparse layer."""
        self.prompts: int | None = None
        """Prompts that come together, where these are fewer than a bucket's rows."""
        self.at_once: int | None = None
        """Those whose states are held together, where memory needs parts."""
        self._most_at_once: int | None = None
        """Those that were not too many, once some were."""
        self.embedding, self.norm, self.head = decoder.embed_tokens.weight, decoder.norm.weight, head.weight
        self.epsilon = decoder.config.rms_norm_eps
        self.rotary = decoder.rotary_emb
        self.heads = decoder.config.num_key_value_heads
        self.head_dim = decoder.layers[0].self_attn.head_dim
        self.places = places(decoder)
        self.compiled = compiled
        self.captured = captured and self.device.type == "cuda"
        self._layer, self._score = decode_layer, score
        if compiled:
            self._layer, self._score = (
                torch.compile(function, dynamic=False, fullgraph=True, options=TUNED if options is None else options)
                for function in (decode_layer, score)
            )
        self.generator = torch.Generator(self.embedding.device)
        """What told steps draw by."""
        self._storage: list[Tensor] = []
        self._routes: dict[int, Tensor] = {}
        self._buckets: dict[tuple[int, int], Bucket] = {}
        self._plan: Plan | None = None
        """That of the ring when a bucket was last made ready."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.device

    def bucket(self, rows: int, length: int, way: Way = PLAIN) -> Bucket:
        """The bucket for `rows` conversations of at most `length` tokens, ready to step; what it held is lost."""
        key = (bucket_rows(rows), bucket_length(length))
        if self.ring is not None:
            self._reserve(self.ring, *key)
            if self.ring.plan is not self._plan:
                # Captured steps know the places of the layers.
                for one in self._buckets.values():
                    one.graphs.clear()
                self._plan = self.ring.plan
        if key not in self._buckets:
            self._buckets[key] = self._allocate(*key)
        bucket = self._buckets[key]
        if self.captured and way not in bucket.graphs:
            with self.turn:
                if self.in_place:
                    bucket.graphs[way] = self._captured(bucket, way)
        return bucket

    @property
    def in_place(self) -> bool:
        """Whether all layers are on the device, where they were when buckets were last made ready."""
        ring = self.ring
        return ring is None or (ring.plan is self._plan and self._plan is not None and not self._plan.streamed)

    def _reserve(self, ring: Ring, rows: int, length: int) -> None:
        prompts = rows if self.prompts is None else self.prompts
        self.at_once = min(prompts, self._most_at_once or prompts)
        while True:
            sizes = (rows, length, prompts, self.at_once)
            try:
                return ring.reserve(self, decoder_needs(self.config, self.width, self.embedding.itemsize, *sizes))
            except torch.OutOfMemoryError:
                if self.at_once == 1:
                    raise
                self.at_once //= 2

    @property
    def can_hold_fewer(self) -> bool:
        """Whether there is a limit, and something left to halve."""
        return self.ring is not None and self.at_once not in (None, 1)

    def hold_fewer(self) -> None:
        """Halves the prompts that are held together, from now on: memory in pieces may not do for what was planned."""
        assert self.at_once is not None
        self.at_once = self._most_at_once = self.at_once // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def turn(self) -> AbstractContextManager:
        """Within it a pass may ask for layers: those who share them take turns."""
        return nullcontext() if self.ring is None else self.ring.turn

    def passing(self, prompt: bool = False, whole: bool = False) -> Iterable[LayerWeights]:
        """The layers where the states are, in order, for a pass over prompts or a step; `whole` with partial LoRA."""
        return self.layers if self.ring is None else self.ring.passing(prompt, whole)

    def _allocate(self, rows: int, length: int) -> Bucket:
        shape = (rows, self.heads, length, self.head_dim)
        needed = rows * self.heads * length * self.head_dim
        if not self._storage or self._storage[0].numel() < needed:
            # One cache for all buckets: the larger one takes its place, and the steps that knew the old one go.
            self._buckets.clear()
            self._storage.clear()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()  # the old one's pieces are too small for the new one, and count in any limit
            # A tensor for each, since the compiler looks twice at inputs that share memory.
            self._storage = [self.embedding.new_zeros(needed) for _ in range(2 * len(self.layers))]
            self._routes = {
                number: torch.zeros(rows * length * active, dtype=torch.int32, device=self.device)
                for number, active in self.active.items()
            }
        parts = [one[:needed].view(shape) for one in self._storage]
        routes = {
            number: self._routes[number][: rows * length * active].view(rows, 1, length, active)
            for number, active in self.active.items()
        }
        positions = torch.arange(length, device=self.device)
        cos, sin = (table[0] for table in self.rotary(self.embedding, positions[None]))
        return Bucket(
            tokens=torch.zeros(rows, dtype=torch.long, device=self.device),
            position=torch.zeros(rows, dtype=torch.long, device=self.device),
            keys=tuple(parts[0::2]),
            values=tuple(parts[1::2]),
            routes=tuple(routes.get(number) for number in range(len(parts) // 2)),
            cos=cos,
            sin=sin,
            temperature=torch.ones((), device=self.device),
            top_p=torch.ones((), device=self.device),
            strength=torch.zeros((), device=self.device),
            plausible=torch.ones((), device=self.device),
            logprobs=torch.zeros(rows, device=self.device),
            changed=torch.zeros(rows, dtype=torch.bool, device=self.device),
            logits=self.embedding.new_zeros(rows, len(self.head)),
            places=torch.zeros(rows, dtype=torch.long, device=self.device),
        )

    def step(self, bucket: Bucket, way: Way = PLAIN) -> None:
        """Reads `bucket.tokens` at `bucket.position`, and puts the next tokens and positions there."""
        with self.turn:
            if way in bucket.graphs and self.in_place:
                bucket.graphs[way].replay()
                return
            with torch._dynamo.config.patch(recompile_limit=_MAX_COMPILED) if self.ring else nullcontext():
                self._advance(bucket, way)

    def _advance(self, bucket: Bucket, way: Way) -> None:
        residual, delta = self.states(bucket)
        self.choose(self._score(residual, delta, self.norm, self.epsilon, self.head), bucket, way)
        # Steps launched ahead of the end may pass the bucket's; what they say is not read.
        bucket.position.copy_((bucket.position + 1).clamp(max=bucket.length - 1))

    def choose(self, logits: Tensor, bucket: Bucket, way: Way) -> None:
        """Puts the next tokens of logits (N, V) into the bucket's first N rows; with contrast N is the bucket's."""
        settings = (bucket.temperature, bucket.top_p) if way.sampled else (None, None)
        rows = len(logits)
        bucket.logits[:rows].copy_(logits)
        if not way.told:
            bucket.tokens[:rows].copy_(choose(logits, *settings))
            return
        strong, weak = logits.chunk(2) if way.contrasted else (logits, None)
        part = Part(bucket.places[: len(strong)], way.drawn) if way.drawn else None
        chosen = next_step(strong, weak, bucket.strength, bucket.plausible, *settings, self.generator, part)
        bucket.tokens[:rows].copy_(chosen.tokens.repeat(rows // len(strong)))
        bucket.logprobs[: len(strong)].copy_(chosen.logprobs)
        bucket.changed[: len(strong)].copy_(chosen.changed)

    def states(self, bucket: Bucket) -> tuple[Tensor, Tensor]:
        """Residual and delta (B, D) after the last layer for the tokens that `bucket` holds."""
        residual = F.embedding(bucket.tokens, self.embedding)
        delta = torch.zeros_like(residual)
        cos, sin = bucket.cos[bucket.position], bucket.sin[bucket.position]
        for layer, keys, values, routes in zip(self.passing(), bucket.keys, bucket.values, bucket.routes, strict=True):
            residual, delta = self._layer(
                residual, delta, layer, self.epsilon, keys, values, bucket.position, cos, sin, routes
            )
        return residual, delta

    def _captured(self, bucket: Bucket, way: Way) -> torch.cuda.CUDAGraph:
        bucket.tokens.zero_()
        bucket.position.zero_()
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream), torch._dynamo.config.patch(recompile_limit=_MAX_COMPILED):
            for _ in range(3):
                self._advance(bucket, way)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        # Other threads may use the device meanwhile, as experts do.
        with CAPTURING, torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._advance(bucket, way)
        return graph
