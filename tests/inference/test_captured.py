"""Prompts padded to the width of a graph say what they say at their own."""

import pytest
import torch

from moai.inference.captured import MAX_TOKENS, WIDTH_STEP, padded_width
from moai.inference.generation import FastGeneration, Request
from moai.models.fusion import GateRecord
from tests.conftest import single
from tests.inference.test_generation import GREEDY, talkative


def engine_of(model, captured: bool) -> FastGeneration:
    engine = FastGeneration(model, compiled=False)
    if captured:
        engine.capture(None)
    return engine


def said(engine, model, inputs) -> torch.Tensor:
    return engine(model, Request.of(model, inputs | GREEDY))


@pytest.fixture(scope="module")
def model():
    return talkative()


def test_answers_and_gates_are_the_same(model, inputs):
    plain, captured = engine_of(model, False), engine_of(model, True)
    backbone = {name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    text = {"input_ids": torch.tensor([[5, 6, 7, 8]])}
    for given in (inputs, single(inputs, 0), single(inputs, 1), backbone, text, single(inputs, 0)):
        records = GateRecord(), GateRecord()
        first = said(plain, model, given | {"gates": records[0]})
        assert torch.equal(said(captured, model, given | {"gates": records[1]}), first)
        assert records[0].layers.keys() == records[1].layers.keys()
        for layer, gates in records[0].layers.items():
            for one, other in zip(gates, records[1].layers[layer], strict=True):
                assert one.shape == other.shape
                torch.testing.assert_close(one, other)
    assert records[0].layers and all(bucket.prompts for bucket in captured.decoder._buckets.values())


def test_prompts_of_other_lengths_share_a_pass(model, inputs):
    plain, captured = engine_of(model, False), engine_of(model, True)
    one = single(inputs, 1)
    for count in (1, 2, 7):
        more = torch.arange(5, 5 + count)[None]
        longer = one | {
            "input_ids": torch.cat((one["input_ids"], more), dim=1),
            "attention_mask": torch.nn.functional.pad(one["attention_mask"], (0, count), value=1),
        }
        assert torch.equal(said(captured, model, longer), said(plain, model, longer))
    (bucket,) = captured.decoder._buckets.values()
    assert len(bucket.prompts) == 1


def test_what_is_kept_is_not_what_was_given(model, inputs):
    captured = engine_of(model, True)
    one = single(inputs, 0)
    first = said(captured, model, one)
    others = [one | {"pixel_values": one["pixel_values"] + far} for far in (1, -1, 3, -3)]
    assert not all(torch.equal(said(captured, model, other), first) for other in others)
    assert torch.equal(said(captured, model, one), first)


def test_long_prompts_and_rows_without_pictures_run_as_written(model, inputs):
    captured = engine_of(model, True)
    mixed = inputs | {name: inputs[name][:1] for name in inputs if name not in ("input_ids", "attention_mask")}
    mixed["input_ids"] = mixed["input_ids"].masked_fill(mixed["input_ids"] == 3, 4)
    mixed["input_ids"][0] = inputs["input_ids"][0]
    assert torch.equal(said(captured, model, mixed), said(engine_of(model, False), model, mixed))
    assert not any(bucket.prompts for bucket in captured.decoder._buckets.values())


def test_widths():
    assert [padded_width(width) for width in (1, WIDTH_STEP, WIDTH_STEP + 1)] == [
        WIDTH_STEP,
        WIDTH_STEP,
        2 * WIDTH_STEP,
    ]
    assert MAX_TOKENS % WIDTH_STEP == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_graphs_say_what_runs_as_written(inputs):
    model = talkative().to("cuda")
    inputs = {name: value.to("cuda") for name, value in inputs.items()}
    fast, plain = FastGeneration(model), FastGeneration(model)
    plain.prefill, plain.encoding = plain.prefill.prefill, None
    for given in (inputs, single(inputs, 0), single(inputs, 1), inputs):
        records = GateRecord(), GateRecord()
        assert torch.equal(
            said(fast, model, given | {"gates": records[0]}), said(plain, model, given | {"gates": records[1]})
        )
        for layer, gates in records[1].layers.items():
            torch.testing.assert_close(records[0].layers[layer].language, gates.language)
