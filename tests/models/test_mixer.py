"""Gates and attention blocks of one mixer."""

import pytest
import torch

from moai.models.mixer import WIDEST_FUSED, CrossAttentionBlock, MoAIMixer, attend


@pytest.fixture
def mixer():
    torch.manual_seed(0)
    return MoAIMixer(16, heads=2, rank=4)


@pytest.fixture
def states():
    torch.manual_seed(1)
    return {"image": torch.randn(2, 5, 16), "language": torch.randn(2, 4, 16), "aux": torch.randn(2, 3, 16)}


def test_a_block_is_the_formula(states):
    torch.manual_seed(2)
    block = CrossAttentionBlock(16, heads=2, rank=4)
    gelu = torch.nn.functional.gelu
    query, media = states["language"], states["aux"]
    q, k, v = (gelu(p(x)) for p, x in ((block.q_proj, query), (block.k_proj, media), (block.v_proj, media)))
    heads = []
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / 8**0.5
        heads.append(scores.softmax(dim=-1) @ v[..., part])
    expected = query + gelu(block.o_proj(torch.cat(heads, dim=-1)))
    torch.testing.assert_close(block(query, media), expected)


def test_wide_heads_attend_like_narrow_ones():
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 2, length, WIDEST_FUSED + 8) for length in (3, 5, 5))
    mask = torch.tensor([[True, True, False, True, True], [True, False, False, False, True]])[:, None, None]
    for given in (None, mask):
        expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=given)
        torch.testing.assert_close(attend(query, key, value, given), expected)


@pytest.mark.parametrize("routing", ["gates", "random", "uniform"])
def test_gates_sum_to_one(mixer, states, routing):
    *_, image_gate, language_gate = mixer(**states, language_mask=None, routing=routing)
    for gate in (image_gate, language_gate):
        assert gate.shape[-1] == 3
        torch.testing.assert_close(gate.sum(dim=-1), torch.ones(gate.shape[:2]))
    if routing == "random":
        assert set(image_gate.unique().tolist()) == {0.0, 1.0}
        assert (image_gate == image_gate[:, :1]).all()


def test_random_routing_draws_each_block_equally(mixer, states):
    torch.manual_seed(0)
    many = {name: value[:1].expand(3000, -1, -1) for name, value in states.items()}
    *_, gate, _ = mixer(**many, language_mask=None, routing="random")
    assert (gate[:, 0].mean(dim=0) - 1 / 3).abs().max() < 0.04


def test_a_missing_source_gets_no_weight(mixer, states):
    image, _, image_gate, language_gate = mixer(None, states["language"], states["aux"], None, "gates")
    assert image is None and image_gate is None
    assert (language_gate[..., 1] == 0).all()
    *_, image_gate, language_gate = mixer(states["image"], states["language"], None, None, "random")
    assert (image_gate[..., 0] == 0).all() and (language_gate[..., 0] == 0).all()


def test_padding_is_no_key(mixer, states):
    mask = torch.tensor([[True, True, True, False]] * 2)
    changed = states | {"language": states["language"].clone()}
    changed["language"][:, 3] += 5
    first = mixer(**states, language_mask=mask)
    second = mixer(**changed, language_mask=mask)
    torch.testing.assert_close(first[0], second[0])
    torch.testing.assert_close(first[1][:, :3], second[1][:, :3])
