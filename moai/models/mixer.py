"""MoAI-Mixer: six cross-attention experts and two gates that blend what they bring (arXiv 2403.07508, sec. 3)."""

from dataclasses import dataclass, field
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROUTINGS = ("gates", "random", "uniform")
"""How the three experts of a modality are weighted: by gates, one at random (training step 1), or a third each."""


def _low_rank(dim: int, rank: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, rank, bias=False), nn.Linear(rank, dim, bias=False))


WIDEST_FUSED = 256
"""Width of attention heads up to which there are fast fused kernels; MoAI-7B's mixers have heads of 1024."""


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Scaled dot-product attention: query (B, h, Q, d), key and value (B, h, K, d), mask (B, 1, 1 or Q, K) bool or
    None."""
    if query.shape[-1] <= WIDEST_FUSED:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    # Wider heads are plain products, which keep the matrix units busier than the fused kernels that would take them.
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype) @ value


class CrossAttentionExpert(nn.Module):
    """E(q, kv) = q + gelu(Po attention(gelu(Pq q), gelu(Pk kv), gelu(Pv kv))) with P(x) = U V x of rank `rank`."""

    def __init__(self, dim: int, heads: int, rank: int):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (_low_rank(dim, rank) for _ in range(4))

    def forward(self, query: Tensor, media: Tensor, mask: Tensor | None = None) -> Tensor:
        """query: (B, Q, D), media: (B, K, D), mask: (B, 1 or Q, K) bool, False = unseen (None: all seen) ->
        (B, Q, D)."""
        q, k, v = (
            F.gelu(projection(states)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection, states in ((self.q_proj, query), (self.k_proj, media), (self.v_proj, media))
        )
        attended = attend(q, k, v, None if mask is None else mask[:, None])
        return query + F.gelu(self.o_proj(attended.transpose(1, 2).flatten(2)))


def _seen_language(mask: Tensor | None, turns: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Which language tokens language tokens see, (B, 1 or T, T), and which image tokens see, (B, 1, T)."""
    if mask is None:
        return None, None
    if turns is None:
        return mask[:, None], mask[:, None]
    # What is shared must not tell one turn of another.
    shared = mask & (turns == 0)
    own = mask[:, None] & (turns[:, None] == turns[:, :, None])
    return shared[:, None] | own, shared[:, None]


class MoAIMixer(nn.Module):
    """Blends, for image tokens and for language tokens of the prompt, three experts each: aux, the other side, self."""

    def __init__(self, dim: int, heads: int, rank: int):
        super().__init__()
        for name in ("image_aux", "image_language", "image_self", "language_aux", "language_image", "language_self"):
            self.add_module(name, CrossAttentionExpert(dim, heads, rank))
        self.image_gate = nn.Linear(dim, 3)
        self.language_gate = nn.Linear(dim, 3)

    def forward(
        self,
        image: Tensor | None,
        language: Tensor,
        aux: Tensor | None,
        language_mask: Tensor | None,
        routing: str = "gates",
        turns: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor, Tensor | None, Tensor]:
        """Mixed image (B, I, D) and language (B, T, D) states, then the gate weights (B, I, 3) and (B, T, 3).

        image: (B, I, D) or None without a picture, language: (B, T, D), aux: (B, L, D) or None,
        language_mask: (B, T) bool, False = not a prompt token (None: all are). turns: (B, T), the turn that a token
        belongs to where several share a row, 0 = what all share: language tokens then see the shared ones and those of
        their own turn, image tokens the shared ones alone. Experts whose source is missing get
        weight 0. Gate order: aux, the other modality, self; each row sums to 1.
        """
        of_language, of_image = _seen_language(language_mask, turns)
        without_aux = () if aux is not None else (0,)
        without_image = () if image is not None else (1,)
        language_out, language_weights = self._blend(
            language,
            (
                None if aux is None else (self.language_aux, aux, None),
                None if image is None else (self.language_image, image, None),
                (self.language_self, language, of_language),
            ),
            self._weights(self.language_gate, language, without_aux + without_image, routing),
        )
        if image is None:
            return None, language_out, None, language_weights
        image_out, image_weights = self._blend(
            image,
            (
                None if aux is None else (self.image_aux, aux, None),
                (self.image_language, language, of_image),
                (self.image_self, image, None),
            ),
            self._weights(self.image_gate, image, without_aux, routing),
        )
        return image_out, language_out, image_weights, language_weights

    @staticmethod
    def _weights(gate: nn.Linear, states: Tensor, absent: tuple[int, ...], routing: str) -> Tensor:
        if routing == "gates":
            scores = gate(states)
        elif routing == "random":
            # One draw for each sample, as a batch of the reference is one sample.
            draws = torch.rand(states.shape[0], 1, 3, device=states.device)
            draws[..., absent] = -1.0
            scores = torch.where(draws == draws.amax(dim=-1, keepdim=True), 0.0, float("-inf"))
            scores = scores.to(states.dtype).expand(*states.shape[:2], 3).clone()
        else:
            scores = states.new_zeros(*states.shape[:2], 3)
        scores[..., absent] = float("-inf")
        return scores.softmax(dim=-1)

    @staticmethod
    def _blend(query: Tensor, experts: tuple, weights: Tensor) -> tuple[Tensor, Tensor]:
        mixed = torch.zeros_like(query)
        for index, entry in enumerate(experts):
            if entry is not None:
                expert, media, mask = entry
                mixed = mixed + weights[..., index, None] * expert(query, media, mask)
        return mixed, weights


@dataclass
class FusionContext:
    """What one forward pass hands to the mixers and to partial LoRA inside the decoder; empty at decoding steps.

    `image_mask` (B, S) bool marks image tokens; `image_index` (B, I) and `language_index` (B, T) are their positions
    in the sequence; `language_mask` (B, T) bool leaves out padding and answers; `language_turns` (B, T) are turns that
    share a row, if some do; `aux` (B, L, D) are auxiliary tokens.
    With `record`, each mixer appends to `gates`: image weights (B, I, 3) or None, language weights (B, T, 3), and which
    of the T positions are real (B, T).
    """

    image_mask: Tensor | None = None
    image_index: Tensor | None = None
    language_index: Tensor | None = None
    language_mask: Tensor | None = None
    language_turns: Tensor | None = None
    aux: Tensor | None = None
    mixing: bool = False
    routing: str = "gates"
    record: bool = False
    gates: list = field(default_factory=list)

    def __deepcopy__(self, memo: dict) -> "FusionContext":
        # The tensors of a pass with gradients cannot be copied, and a copied model has had no pass.
        return memo.setdefault(id(self), FusionContext(routing=self.routing, record=self.record))

    def clear(self) -> None:
        """Forget the tensors of the last pass; settings and recorded gates stay."""
        self.image_mask = self.image_index = self.language_index = self.language_mask = self.aux = None
        self.language_turns = None
        self.mixing = False


class MixedNorm:
    """Mixed into a decoder layer's input norm: replaces the prompt's normed states by what the mixer makes of them.

    The residual stream is untouched, and the decoder layer keeps its code and its state-dict keys. A class of its own
    rather than a forward hook, because torch.compile does not tell layers apart by their hooks.
    """

    def forward(self, hidden_states: Tensor) -> Tensor:
        """hidden_states: (B, S, D) -> (B, S, D)."""
        normed = super().forward(hidden_states)
        return mix(normed, self.mixer[0], self.context) if self.context.mixing else normed


def mix(normed: Tensor, mixer: MoAIMixer, context: FusionContext) -> Tensor:
    """The prompt's states (B, S, D), after a layer's input norm, replaced by what the mixer makes of them."""
    image_index, language_index = context.image_index, context.language_index
    image = None if image_index is None else _gather(normed, image_index)
    language = _gather(normed, language_index)
    image_out, language_out, image_gate, language_gate = mixer(
        image, language, context.aux, context.language_mask, context.routing, context.language_turns
    )
    if context.record:
        context.gates.append((image_gate, language_gate, context.language_mask))
    # Answers and padding keep their plain states.
    language_out = torch.where(context.language_mask[..., None], language_out, language)
    mixed = _scatter(normed, language_index, language_out)
    return mixed if image_out is None else _scatter(mixed, image_index, image_out)


@lru_cache
def _mixed(norm_class: type[nn.Module]) -> type[nn.Module]:
    return type(f"Mixed{norm_class.__name__}", (MixedNorm, norm_class), {})


def add_mixer(norm: nn.Module, mixer: MoAIMixer, context: FusionContext) -> None:
    """Let `mixer` work on what `norm`, the input norm of a decoder layer, gives out; in place."""
    norm.__class__ = _mixed(type(norm))
    norm.mixer = (mixer,)  # in a tuple: the mixer's parameters belong to the model, not to this layer
    norm.context = context


def _gather(states: Tensor, index: Tensor) -> Tensor:
    return states.gather(1, index[..., None].expand(-1, -1, states.shape[-1]))


def _scatter(states: Tensor, index: Tensor, values: Tensor) -> Tensor:
    return states.scatter(1, index[..., None].expand_as(values), values.to(states.dtype))
