"""Pictures and experts' words on tensors at fixed addresses: what the model makes of them, and what is kept."""

import os
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from moai.inference import encode, encoding
from moai.inference.encoding import INPUTS, MAX_PICTURES, WORDS_STEP, CapturedEncoding
from moai.inference.generation import fast_generation
from moai.inference.graphs import Graphs
from tests import warm
from tests.conftest import single

ROOT = Path(__file__).parents[2]


def given(inputs) -> dict:
    return {name: inputs[name] for name in INPUTS if name in inputs}


def assert_same(one: dict, other: dict, within: float = 1e-5) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=within, atol=within)


def test_nothing_is_compiled_before_it_is_wanted():
    code = "import sys, moai.inference; sys.exit('torch._inductor.compile_fx' in sys.modules)"
    done = warm.run([sys.executable, "-c", code], ROOT, os.environ)
    assert done.returncode == 0, "the compiler takes seconds, which everyone would wait for" + done.stderr


@torch.no_grad()
def test_it_is_what_the_model_makes(model, inputs):
    seen = CapturedEncoding(None)
    words = {name: inputs[name] for name in ("aux_input_ids", "aux_attention_mask")}
    none = inputs["aux_input_ids"][:, :0]
    for some in (
        given(inputs),
        given(single(inputs, 0)),
        words,
        {"aux_input_ids": inputs["aux_input_ids"]},
        {"pixel_values": inputs["pixel_values"]},
        given(inputs) | {"aux_input_ids": none, "aux_attention_mask": none},
    ):
        assert_same(seen(model, some), model.encode(**some))
    assert seen(model, {}) == {}


@torch.no_grad()
def test_words_of_other_lengths_share_a_pass(model, inputs, monkeypatch):
    monkeypatch.setattr(encoding, "MAX_GRAPHS", 12)
    seen = CapturedEncoding(None)
    for length in (3, 40, WORDS_STEP):
        words = torch.randint(5, 60, (1, length))
        some = {"aux_input_ids": words, "aux_attention_mask": torch.ones_like(words)}
        assert_same(seen(model, some), model.encode(**some))
    assert len(seen._seen) == 1
    for rows in range(1, MAX_PICTURES + 3):
        for columns in range(1, 6):
            words = torch.randint(5, 60, (rows, columns * WORDS_STEP))
            seen(model, {"aux_input_ids": words, "aux_attention_mask": torch.ones_like(words)})
    assert len(seen._seen) == encoding.MAX_GRAPHS and all(len(key[0][1]) == 2 for key in seen._seen)
    assert max(key[0][1][0] for key in seen._seen) == MAX_PICTURES


@torch.no_grad()
def test_other_weights_are_other_passes(model, inputs):
    seen, some = CapturedEncoding(None), given(inputs)
    seen(model, some)
    (before,) = seen._seen.values()
    seen(model, some)
    assert next(iter(seen._seen.values())) is before
    model.compressor.norm = nn.LayerNorm(32)
    seen(model, some)
    assert next(iter(seen._seen.values())) is not before and len(seen._seen) == 1
    model.vision.register_forward_hook(lambda *_: None)
    seen._seen.clear()
    assert_same(seen(model, some), model.encode(**some))
    assert not seen._seen, "a hook would be passed over by a graph"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@torch.inference_mode()
def test_graphs_give_what_the_model_gives(model, inputs, monkeypatch):
    # A capture may choose other convolutions, which are alike in full precision alone.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model, inputs = model.to("cuda"), {name: value.to("cuda") for name, value in inputs.items()}
    for some in map(given, (inputs, single(inputs, 0), single(inputs, 1), inputs)):
        assert_same(encode(model, some), model.encode(**some), within=1e-4)
    kept = fast_generation(model).encoding._seen
    assert len(kept) == 2 and all(one.graph is not None for one in kept.values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@torch.no_grad()
def test_an_encoder_that_asks_the_device_is_run_as_written(model, inputs):
    model, inputs = model.to("cuda"), {name: value.to("cuda") for name, value in given(inputs).items()}

    class Asking(nn.Module):
        def forward(self, states):
            return states * float(states.abs().max() > 0)

    model.projector.append(Asking())
    seen = CapturedEncoding(Graphs())
    for _ in range(2):
        assert_same(seen(model, inputs), model.encode(**inputs))
    assert all(one.graph is None for one in seen._seen.values())
