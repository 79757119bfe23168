"""One token's attention to a cache: as written, by triton's interpreter, and on a CUDA device."""

import pytest
import torch

from moai.inference.kernels import attention
from moai.inference.kernels.attention import attend_cache
from tests.inference.kernels.interpreted import run_interpreted

SHAPES = ((1, 1, 1, 16, 1), (2, 2, 3, 16, 2), (3, 2, 4, 64, 18), (1, 1, 16, 32, 5))
"""Rows, key heads, query heads of each, width, pieces of the cache."""


def pieces(
    rows: int, heads: int, group: int, width: int, count: int, dtype: torch.dtype, device: str = "cpu"
) -> tuple[torch.Tensor, ...]:
    """A query, a cache whose end was never written, positions (the first token, the last, others) and what comes."""
    draw = torch.Generator().manual_seed(rows)
    length = count * 128
    query = torch.randn(rows, heads, group, width, generator=draw).to(dtype)
    keys, values = (torch.randn(rows, heads, length, width, generator=draw).to(dtype) for _ in range(2))
    position = torch.tensor([length - 1, 0, length // 2])[:rows]
    seen = torch.arange(length) <= position[:, None]
    exact = torch.nn.functional.scaled_dot_product_attention(
        *(one.float() for one in (query, keys, values)), attn_mask=seen[:, None, None]
    ).flatten(1)
    for one in (keys, values):
        one.transpose(1, 2)[~seen] = 60000.0
    return tuple(one.to(device) for one in (query, keys, values, position, exact))


@pytest.mark.parametrize("shape", SHAPES)
def test_as_written(shape):
    query, keys, values, position, exact = pieces(*shape, torch.float32)
    torch.testing.assert_close(attend_cache(query, keys, values, position), exact)


def compare(kernel, pieces, shapes) -> None:
    for shape in shapes:
        *given, exact = pieces(*shape, torch.float16)
        torch.testing.assert_close(kernel.attend(*given).float(), exact, rtol=2e-3, atol=2e-3)


def test_interpreted():
    pytest.importorskip("triton")
    run_interpreted(attention, pieces, compare, SHAPES)


def test_what_is_left_to_others():
    query, keys, values, *_ = pieces(*SHAPES[1], torch.bfloat16)
    assert not attention.can_attend(query, keys, values), "the CPU has no such kernel"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_on_a_gpu(dtype):
    torch._dynamo.reset()  # which compiles no function more than eight times
    compiled = torch.compile(attend_cache, fullgraph=True, dynamic=False)
    for shape in (*SHAPES, (3, 8, 4, 128, 12), (1, 8, 4, 128, 12)):
        *given, exact = pieces(*shape, dtype, "cuda")
        assert attention.can_attend(*given[:3])
        output = attention.attend(*given)
        torch.testing.assert_close(output.float(), exact, rtol=2e-2, atol=2e-2)
        # As decoding has it.
        torch.testing.assert_close(compiled(*given), output)
        assert torch.equal(attention.attend(*given), output), "sums come in one order"
    narrow = [torch.nn.functional.pad(one, (0, 8)) for one in given[:3]]
    assert not attention.can_attend(*narrow)
