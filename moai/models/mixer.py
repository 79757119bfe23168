"""MoAI-Mixer: six attention blocks and two gates that blend what they bring (arXiv 2403.07508, sec. 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROUTINGS = ("gates", "random", "uniform", "second", "no-aux")
"""How the three blocks of a modality are weighted: by gates, one at random (training step 1), a third each, the gates'
second choice alone, or by gates as if there were no auxiliary tokens."""


def _low_rank(dim: int, rank: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, rank, bias=False), nn.Linear(rank, dim, bias=False))


WIDEST_FUSED = 256
"""Width of attention heads up to which there are fast fused kernels; MoAI-7B's mixers have heads of 1024."""

ALIGNED = 8
"""Keys are padded to a multiple of so many: a picture's 1225 would be left to the slowest kernels there are."""


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Scaled dot-product attention: query (B, h, Q, d), key and value (B, h, K, d), mask (B, 1, 1 or Q, K) bool or
    None."""
    if query.shape[-1] <= WIDEST_FUSED:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    # Wider heads are plain products, which keep the matrix units busier than the fused kernels that would take them.
    keys = key.shape[-2]
    if more := -keys % ALIGNED:
        key, value = F.pad(key, (0, 0, 0, more)), F.pad(value, (0, 0, 0, more))
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~F.pad(mask, (0, more)), float("-inf"))
    elif more:
        scores[..., keys:] = float("-inf")
    # Summed up in fp32 whatever it reads and writes; gradients are taken of what is written.
    exact = torch.float32 if torch.is_grad_enabled() else None
    return scores.softmax(dim=-1, dtype=exact).to(value.dtype) @ value


class CrossAttentionBlock(nn.Module):
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
    """Blends, for image tokens and for language tokens of the prompt, three attention blocks each: over auxiliary
    tokens, over the other side, over themselves. (The paper calls the blocks expert modules.)"""

    def __init__(self, dim: int, heads: int, rank: int):
        super().__init__()
        for name in ("image_aux", "image_language", "image_self", "language_aux", "language_image", "language_self"):
            self.add_module(name, CrossAttentionBlock(dim, heads, rank))
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
        their own turn, image tokens the shared ones alone. Blocks whose source is missing get weight 0. Gate order:
        aux, the other modality, self; each row sums to 1.
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
        if routing == "no-aux":
            absent = (0, *absent)
        if routing in ("gates", "second", "no-aux"):
            scores = gate(states)
        elif routing == "random":
            # One draw for each sample, as a batch of the reference is one sample.
            draws = torch.rand(states.shape[0], 1, 3, device=states.device)
            draws[..., absent] = -1.0
            scores = torch.where(draws == draws.amax(dim=-1, keepdim=True), 0.0, float("-inf"))
            scores = scores.to(states.dtype).expand(*states.shape[:2], 3).clone()
        else:
            scores = states.new_zeros(*states.shape[:2], 3)
        for block in absent:
            scores[..., block] = float("-inf")
        if routing == "second":
            best = scores.argmax(dim=-1, keepdim=True)
            # Where a single block is there, it is the second one too.
            others = scores.scatter(-1, best, float("-inf"))
            second = others.argmax(dim=-1, keepdim=True)
            alone = others.gather(-1, second).isneginf()
            return torch.zeros_like(scores).scatter(-1, torch.where(alone, best, second), 1.0)
        return scores.softmax(dim=-1)

    @staticmethod
    def _blend(query: Tensor, sources: tuple, weights: Tensor) -> tuple[Tensor, Tensor]:
        mixed = None
        for index, source in enumerate(sources):
            if source is not None:
                block, media, mask = source
                share, given = weights[..., index, None], block(query, media, mask)
                mixed = share * given if mixed is None else torch.addcmul(mixed, share, given)
        assert mixed is not None  # of themselves all tokens hear
        return mixed, weights
