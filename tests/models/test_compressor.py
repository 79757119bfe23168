"""The compressor against its formula, and with padding."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moai.models.compressor import MoAICompressor, in_parts, sinusoidal_positions

DIM = 12


def compressor(**fields) -> MoAICompressor:
    torch.manual_seed(0)
    module = MoAICompressor(DIM, num_latents=3, depth=2, heads=2, dim_head=4, ff_mult=2, **fields)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return module


def slow_reference(module: MoAICompressor, media: torch.Tensor) -> torch.Tensor:
    """moai.md's formula for one sample (N, D), head by head."""
    latents = module.latents
    for attention, feed_forward in zip(module.attentions, module.feed_forwards, strict=True):
        z, x = attention.norm_latents(latents), attention.norm_media(media)
        rows = torch.cat((x, z))
        key_rows, value_rows = attention.to_kv.weight[:8], attention.to_kv.weight[8:]
        heads = []
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            q, k, v = (r @ w[part].T for r, w in ((z, attention.to_q.weight), (rows, key_rows), (rows, value_rows)))
            heads.append((q @ k.T / 4**0.5).softmax(dim=-1) @ v)
        latents = latents + torch.cat(heads, dim=-1) @ attention.to_out.weight.T
        norm, first, _, second = feed_forward
        hidden = torch.nn.functional.gelu(norm(latents) @ first.weight.T)
        latents = latents + hidden @ second.weight.T
    return module.norm(latents)


@torch.no_grad()
def test_the_formula():
    module, words, colours = compressor(), torch.randn(2, 5, DIM), torch.randn(2, 4, DIM)
    result = module(words, None, colours)
    for row in range(2):
        expected = slow_reference(module, torch.cat((words[row], colours[row])))
        torch.testing.assert_close(result[row], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_words_get_positions_and_neighbours():
    module, words = compressor(positions="sinusoidal", neighborhood=3), torch.randn(1, 5, DIM)
    context = module.word_context
    kernel, scale = context.convolution.weight[:, 0].clone(), context.position_scale.clone()
    bare = copy.deepcopy(context)
    for parameter in (bare.convolution.weight, bare.position_scale):
        parameter.zero_()
    alone = bare(words, None)[0]
    padded = torch.nn.functional.pad(alone, (0, 0, 1, 1))
    media = torch.stack([alone[i] + (padded[i : i + 3] * kernel.T).sum(dim=0) for i in range(5)])
    front = sinusoidal_positions(torch.arange(5), DIM // 2)
    media = media + scale * torch.cat((front, front.flip(0)), dim=-1)
    torch.testing.assert_close(module(words, None, None)[0], slow_reference(module, media), atol=1e-5, rtol=0)


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    positions=st.sampled_from(["none", "sinusoidal"]),
    neighborhood=st.sampled_from([0, 3]),
    with_map=st.booleans(),
    parts=st.integers(1, 4),
)
@torch.no_grad()
def test_padding_changes_nothing(lengths, positions, neighborhood, with_map, parts):
    module = compressor(positions=positions, neighborhood=neighborhood, parts=parts)
    longest = max(lengths) + 1
    words = torch.randn(len(lengths), longest, DIM)
    mask = (torch.arange(longest)[None] < torch.tensor(lengths)[:, None]).long()
    colours = torch.randn(len(lengths), 2, DIM) if with_map else None
    batch = module(words, mask, colours)
    for row, length in enumerate(lengths):
        one_map = None if colours is None else colours[row : row + 1]
        if length or with_map:
            alone = module(words[row : row + 1, :length] if length else None, None, one_map)
            torch.testing.assert_close(batch[row], alone[0], atol=1e-5, rtol=0)
    assert batch.isfinite().all()


def test_nothing_to_compress():
    with pytest.raises(ValueError, match="neither words nor a colour map"):
        compressor()(None, None, None)


def test_positions_are_the_published_formula():
    codes = sinusoidal_positions(torch.arange(50), 8)
    assert codes.shape == (50, 8)
    torch.testing.assert_close(codes[7, 4], torch.tensor(7 / 10000 ** (4 / 8)).sin())
    torch.testing.assert_close(codes[7, 5], torch.tensor(7 / 10000 ** (4 / 8)).cos())
    assert sinusoidal_positions(torch.arange(3), 7).shape == (3, 7)


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(0, 11), min_size=1, max_size=4), parts=st.integers(1, 5))
def test_parts_hold_every_word_once_and_in_order(lengths, parts):
    longest = max(max(lengths), 1)
    words = torch.arange(len(lengths) * longest).reshape(len(lengths), longest)
    mask = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    found, real = in_parts(words, mask, parts)
    for row, length in enumerate(lengths):
        runs = [found[at][real[at]].tolist() for at in range(row * parts, (row + 1) * parts)]
        assert [one for run in runs for one in run] == words[row, :length].tolist()
        assert {len(run) - length // parts for run in runs} <= {0, 1}


@torch.no_grad()
def test_latents_read_each_part_for_itself():
    module, words, colours = compressor(positions="sinusoidal", parts=3), torch.randn(2, 7, DIM), torch.randn(2, 2, DIM)
    mask = torch.tensor([[1] * 7, [1] * 6 + [0]])
    whole = compressor(positions="sinusoidal")
    whole.load_state_dict({name: one for name, one in module.state_dict().items() if name != "part_codes"})
    result = module(words, mask, colours)
    assert result.shape == (2, 9, DIM)
    for row, ends in enumerate(((0, 2, 4, 7), (0, 2, 4, 6))):
        for part in range(3):
            run = words[row : row + 1, ends[part] : ends[part + 1]]
            expected = whole(run, None, colours[row : row + 1]) + module.part_codes[part]
            torch.testing.assert_close(result[row : row + 1, 3 * part : 3 * part + 3], expected, atol=1e-5, rtol=0)
