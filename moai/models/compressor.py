"""MoAI-Compressor: condenses the words of the experts into a few auxiliary tokens."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoidal_positions(places: Tensor, dim: int) -> Tensor:
    """Sine and cosine codes of places (..., N) (Vaswani et al. 2017, section 3.5): (..., N, dim) fp32 in -1..1."""
    frequencies = torch.exp(torch.arange(0, dim, 2, device=places.device) * (-math.log(10000.0) / dim))
    angles = places[..., None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., :dim]


class WordContext(nn.Module):
    """Gives each word its place: how far it is from either end of the text, and what stands around it.

    A perceiver reads a bag of keys; without this a box could not be bound to the label behind it. Both ends, because
    what the segmentation expert says opens the text and what the OCR expert says closes it, however long it is.
    """

    def __init__(self, dim: int, positions: bool, neighborhood: int):
        super().__init__()
        # Word embeddings are small beside position codes; unnormalised, what a word is would drown in where it stands.
        self.norm = nn.LayerNorm(dim) if positions or neighborhood else nn.Identity()
        self.position_scale = nn.Parameter(torch.ones(())) if positions else None
        self.convolution = (
            nn.Conv1d(dim, dim, neighborhood, padding="same", groups=dim, bias=False) if neighborhood else None
        )

    def forward(self, words: Tensor, mask: Tensor | None) -> Tensor:
        """words: (B, N, D) padded on the right, mask: (B, N) bool or None -> (B, N, D)."""
        words = self.norm(words)
        if mask is not None:
            words = words * mask[..., None].to(words.dtype)
        mixed = words
        if self.convolution is not None:
            mixed = mixed + self.convolution(words.transpose(1, 2)).transpose(1, 2)
        if self.position_scale is not None:
            mixed = mixed + (self.position_scale * codes_of_both_ends(words, mask)).to(words.dtype)
        return mixed


def codes_of_both_ends(words: Tensor, mask: Tensor | None) -> Tensor:
    """Position codes for words (B, N, D) with mask (B, N) or None: half of the channels count from the first word,
    half from the last; (1 or B, N, D)."""
    length, dim = words.shape[1:]
    places = torch.arange(length, device=words.device)[None]
    lengths = length if mask is None else mask.sum(dim=1, keepdim=True)
    front, back = (sinusoidal_positions(counted, dim // 2) for counted in (places, lengths - 1 - places))
    return torch.cat((front.expand(back.shape[0], -1, -1), back), dim=-1)


def in_parts(words: Tensor, mask: Tensor | None, parts: int) -> tuple[Tensor, Tensor]:
    """The words of each row in `parts` runs of equal length, to a word: (B, N, ...) with mask (B, N) or None ->
    (B * parts, W, ...) padded on the right, and their mask (B * parts, W) bool. W is N / parts, rounded up."""
    rows, width = words.shape[:2]
    each = torch.full((rows,), width, device=words.device) if mask is None else mask.sum(dim=1)
    ends = torch.arange(parts + 1, device=words.device) * each[:, None] // parts
    places = ends[:, :-1, None] + torch.arange(-(-width // parts), device=words.device)
    real = (places < ends[:, 1:, None]).flatten(0, 1)
    row = torch.arange(rows, device=words.device)[:, None, None]
    return words[row, places.clamp(max=width - 1)].flatten(0, 1), real


class CompressorAttention(nn.Module):
    """Latents read the media and themselves."""

    def __init__(self, dim: int, heads: int, dim_head: int):
        super().__init__()
        self.heads = heads
        self.norm_media = nn.LayerNorm(dim)
        self.norm_latents = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, heads * dim_head, bias=False)
        self.to_kv = nn.Linear(dim, 2 * heads * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim, bias=False)

    def forward(self, media: Tensor, latents: Tensor, mask: Tensor | None) -> Tensor:
        """media: (B, N, D), latents: (B, L, D), mask: (B, 1, 1, N + L) bool or None -> (B, L, D)."""
        latents = self.norm_latents(latents)
        keys_values = self.to_kv(torch.cat((self.norm_media(media), latents), dim=1))
        query, key, value = (
            states.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for states in (self.to_q(latents), *keys_values.chunk(2, dim=-1))
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.to_out(attended.transpose(1, 2).flatten(2))


class MoAICompressor(nn.Module):
    """Perceiver resampler (Alayrac et al. 2022) over verbalised words and the projected colour map.

    Padding is masked, so a padded batch gives what each of its rows gives alone. With several `parts`, the same
    latents read each run of the words for itself, and the auxiliary tokens of all runs stand one after another: long
    texts come through that way, as runs of their length are common and whole texts of theirs are rare.
    """

    LATENTS_STD = 0.02

    def __init__(
        self,
        dim: int,
        num_latents: int = 64,
        depth: int = 4,
        heads: int = 4,
        dim_head: int = 64,
        ff_mult: int = 1,
        positions: str = "none",
        neighborhood: int = 0,
        parts: int = 1,
    ):
        super().__init__()
        self.parts = parts
        self.part_codes = nn.Parameter(torch.zeros(parts, 1, dim)) if parts > 1 else None
        self.latents = nn.Parameter(torch.randn(num_latents, dim) * self.LATENTS_STD)
        self.word_context = WordContext(dim, positions == "sinusoidal", neighborhood)
        self.attentions = nn.ModuleList(CompressorAttention(dim, heads, dim_head) for _ in range(depth))
        self.feed_forwards = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(dim),
                nn.Linear(dim, dim * ff_mult, bias=False),
                nn.GELU(),
                nn.Linear(dim * ff_mult, dim, bias=False),
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, words: Tensor | None, words_mask: Tensor | None, map_embeds: Tensor | None) -> Tensor:
        """Auxiliary tokens (B, L, D), L the latents times the parts.

        words: (B, N, D) embeddings of the verbalised scene, padded on the right, words_mask: (B, N) 1 = real
        word (None: all real),
        map_embeds: (B, M, D) projected colour-map tokens. Either part may be None, not both.
        """
        if words is None and map_embeds is None:
            raise ValueError("the compressor got neither words nor a colour map; give at least one of them")
        if self.part_codes is None:
            return self._read(words, words_mask, map_embeds)
        if words is not None:
            words, words_mask = in_parts(words, words_mask, self.parts)
        if map_embeds is not None:
            map_embeds = map_embeds.repeat_interleave(self.parts, dim=0)
        read = self._read(words, words_mask, map_embeds).unflatten(0, (-1, self.parts))
        return (read + self.part_codes.to(read.dtype)).flatten(1, 2)

    def _read(self, words: Tensor | None, words_mask: Tensor | None, map_embeds: Tensor | None) -> Tensor:
        parts, mask = [], None
        if words is not None:
            words_mask = None if words_mask is None else words_mask.bool()
            parts.append(self.word_context(words, words_mask))
        if map_embeds is not None:
            parts.append(map_embeds)
        media = torch.cat(parts, dim=1)
        if words is not None and words_mask is not None:
            rest = media.shape[1] - words.shape[1] + self.latents.shape[0]
            mask = F.pad(words_mask, (0, rest), value=True)[:, None, None, :]
        latents = self.latents.to(media.dtype).expand(media.shape[0], -1, -1)
        for attention, feed_forward in zip(self.attentions, self.feed_forwards, strict=True):
            latents = latents + attention(media, latents, mask)
            latents = latents + feed_forward(latents)
        return self.norm(latents)
