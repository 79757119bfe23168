"""Memory tiers: what they refuse and, where torchao is installed, that a smaller model still answers."""

import sys

import pytest
import torch

from moai.assistant import MoAI
from moai.inference import generate
from moai.inference.products import FEW, project
from moai.inference.quantization import check_tier, quantize
from tests.conftest import single
from tests.inference.test_generation import GREEDY, talkative

CPU = torch.device("cpu")


def test_refusals(model_folder, monkeypatch):
    with pytest.raises(ValueError, match="unknown quantisation 'int3'; allowed are bf16, int8, int4"):
        MoAI.from_pretrained(model_folder, device="cpu", quantize="int3")
    with pytest.raises(ValueError, match="int4 needs a CUDA device"):
        check_tier("int4", CPU)
    monkeypatch.setitem(sys.modules, "torchao", None)
    with pytest.raises(ValueError, match=r"int8 needs the package torchao; pip install 'moai-vlm\[quantize\]'"):
        check_tier("int8", CPU)
    check_tier("bf16", CPU)
    check_tier(None, CPU)


def test_bf16(model_folder):
    assert MoAI.from_pretrained(model_folder, device="cpu", quantize="bf16").model.dtype == torch.bfloat16


@torch.no_grad()
def test_int8_is_near_and_half_as_large(inputs):
    pytest.importorskip("torchao")
    model = talkative()
    expected = model(**inputs).logits
    linear = model.language_model.layers[0].mlp.down_proj
    before = linear.weight.clone()
    quantize(model, "int8", CPU)
    assert type(linear.weight).__name__ == "Int8Tensor" and type(linear.lora_A.weight) is torch.nn.Parameter
    assert (linear.weight.dequantize() - before).abs().max() <= before.abs().amax(dim=1).max() / 127
    assert (model(**inputs).logits - expected).abs().max() < 0.05 * expected.abs().max()
    plain = model.generate(**inputs, **GREEDY)
    assert torch.equal(generate(model, **inputs, **GREEDY, fast=True), plain)


@torch.no_grad()
def test_int8_is_written_out_for_few_rows_by_a_compiler_alone():
    pytest.importorskip("torchao")
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    torch._dynamo.reset()
    torch.manual_seed(0)
    linear = torch.nn.Linear(96, 160, dtype=torch.bfloat16)
    quantize_(linear, Int8WeightOnlyConfig(set_inductor_config=False))
    states = torch.randn(FEW + 1, 96, dtype=torch.bfloat16)
    graphs = []

    def kept(graph, _):
        graphs.append(graph)
        return graph.forward

    def product(some):
        return project(some, [linear.weight], [linear.bias])

    for rows in (1, 2, 8, FEW, FEW + 1):
        some, expected = states[:rows], linear(states[:rows])
        joined = project(some, [linear.weight, linear.weight], [linear.bias, linear.bias])
        compiled = torch.compile(product, backend=kept, fullgraph=True, dynamic=False)(some)
        for found in (product(some), joined[:, :160], joined[:, 160:], compiled):
            # Weights are rounded to bf16 before they are multiplied where torchao rounds the product.
            torch.testing.assert_close(found, expected, rtol=2**-7, atol=2**-7)
        assert ("float" in graphs[-1].code) == (rows not in (1, FEW + 1))


@torch.no_grad()
def test_int8_decodes_as_the_plain_path(inputs):
    pytest.importorskip("torchao")
    model = quantize(talkative(), "int8", CPU)
    for given in (inputs, single(inputs, 0)):
        said = generate(model, **given, **GREEDY, fast=True)
        assert len(set(said[0, -9:].tolist())) > 2 and torch.equal(said, model.generate(**given, **GREEDY))


def test_int8_through_the_assistant(model_folder):
    pytest.importorskip("torchao")
    from perception import Perception

    assistant = MoAI.from_pretrained(model_folder, device="cpu", quantize="int8", perception=Perception(experts=()))
    picture = torch.zeros(40, 40, 3, dtype=torch.uint8).numpy()
    assert assistant.ask(picture, "What is it?", max_new_tokens=3).timings["generate"] > 0
