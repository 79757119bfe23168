"""The kernel for few rows, computed by triton's interpreter on the CPU and, where there is one, on a CUDA device."""

import pytest
import torch

from moai.inference.kernels import few_rows
from tests.inference.kernels.interpreted import run_interpreted

pytest.importorskip("triton")
SHAPES = ((1, 256, 32), (5, 512, 70), (16, 256, 1), (17, 512, 33), (few_rows.MOST_ROWS, 256, 64))
"""Rows, width and columns."""


def pieces(
    rows: int, width: int, columns: int, dtype: torch.dtype, device: str = "cpu", shifted: bool = False
) -> tuple[torch.Tensor | None, ...]:
    """What is multiplied, and what comes of it exactly."""
    draw = torch.Generator().manual_seed(rows)
    states = torch.randn(rows, width, generator=draw).to(dtype)
    numbers = torch.randint(-128, 128, (columns, width), dtype=torch.int8, generator=draw)
    scale = (torch.rand(columns, 1, generator=draw) / 128 / width**0.5).to(dtype)
    zero = torch.randint(-9, 10, (columns, 1), dtype=torch.int8, generator=draw)
    exact = states.float() @ ((numbers.float() - shifted * zero.float()) * scale.float()).T
    states, numbers, scale, exact, zero = (one.to(device) for one in (states, numbers, scale, exact, zero))
    return states, numbers, scale, zero if shifted else None, exact


def compare(kernel, pieces, shapes) -> None:
    for shape in shapes:
        for shifted in (True, False):
            *given, exact = pieces(*shape, torch.float16, shifted=shifted)
            torch.testing.assert_close(kernel.multiply(*given).float(), exact, rtol=2e-3, atol=2e-3)


def test_interpreted():
    run_interpreted(few_rows, pieces, compare, SHAPES)


def test_what_is_left_to_others():
    states, numbers, scale, *_ = pieces(4, 256, 8, torch.bfloat16)
    assert not few_rows.can_multiply(states, numbers, scale), "the CPU has no such kernel"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_on_a_gpu(dtype, shifted):
    torch._dynamo.reset()  # which compiles no function more than eight times
    for shape in (*SHAPES, (8, 14336, 4096)):
        *given, exact = pieces(*shape, dtype, "cuda", shifted)
        assert few_rows.can_multiply(*given) == (shape[0] > 1)
        output = few_rows.multiply(*given)
        torch.testing.assert_close(output.float(), exact, rtol=2e-2, atol=2e-2)
        # As decoding has it.
        torch.testing.assert_close(torch.compile(few_rows.multiply, fullgraph=True, dynamic=False)(*given), output)
    for other in ((few_rows.MOST_ROWS + 1, 256, 8), (4, 128, 8)):
        states, numbers, scale, *_ = pieces(*other, dtype, "cuda")
        assert not few_rows.can_multiply(states, numbers, scale)
