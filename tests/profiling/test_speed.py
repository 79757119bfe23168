"""`moai speed` at a tiny size: every part of the model runs, and what is left out is said."""

import json
import math
import sys

import pytest
import torch
from torch.utils.flop_counter import flop_registry

from moai.profiling import model as speed_model
from moai.profiling import speed
from moai.profiling.flops import SHARED_HEADS, attention_backward_flops, attention_flops
from tests.conftest import tiny_config


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(speed_model.SIZES, "nano", (tiny_config, 40, 9))


def arguments(*given: str):
    return speed.parser().parse_args(["--device", "cpu", "--batches", "1,2", "--repeats", "1", *given])


def test_parts_of_the_model(capsys, monkeypatch, tmp_path):
    out = tmp_path / "deep" / "speed.json"
    parts = "generation,questions,agreement,strategies,plain,training"
    monkeypatch.setattr(sys, "argv", ["speed", "--device", "cpu", "--batches", "1,2", "--repeats", "1"])
    monkeypatch.setattr("moai.profiling.strategies.NEW_TOKENS", 3)
    sys.argv += ["--only", parts, "--out", str(out)]
    speed.main()
    record = json.loads(out.read_text())
    assert not record["failed"] and not record["left_out"]
    assert record["machine"]["versions"]["torch"] and record["machine"]["cores"] > 0
    figures = {(one["part"], one["what"]): one["value"] for one in record["figures"]}
    assert all(math.isfinite(value) for value in figures.values())
    assert {part for part, _ in figures} == {
        "start",
        "prefill",
        "decoding",
        "questions",
        "agreement",
        "plain",
        "strategies",
        "training",
    }
    assert figures["strategies", "6 drafts over one answer"] > 0
    assert figures["agreement", "norm of the difference over norm of logits"] < 1e-5
    assert figures["agreement", "same best token"] == 100
    assert figures["training", "step 2, plain, batch 2"] > 0
    assert "prefill      batch 1" in capsys.readouterr().out


def test_tiers_say_what_is_missing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao", None)
    record = speed.run(arguments("--only", "tiers"))
    assert [one["what"] for one in record["figures"]] == ["bf16: prefill, batch 1", "bf16: decoding, batch 1"]
    said = capsys.readouterr().out
    assert "int8 needs the package torchao" in said and "int4 needs a CUDA device" in said


def test_parts_and_time(capsys):
    record = speed.run(arguments("--minutes", "0"))
    assert record["left_out"] == list(speed.USUAL["nano"]) and record["figures"] == []
    assert "no time was left for generation, " in capsys.readouterr().out
    with pytest.raises(ValueError, match="unknown part 'speed'; allowed are generation, questions"):
        speed.main(["--only", "generation,speed"])


def test_operations_of_attention_with_shared_heads():
    query, shared = torch.randn(2, 8, 16, 32), torch.randn(2, 2, 16, 32)
    whole = torch.randn(2, 8, 16, 32)
    expected = 2 * 2 * 2 * 8 * 16 * 16 * 32  # two products, two operations for each multiply-add
    assert attention_flops(query.shape, whole.shape, whole.shape) == expected
    assert attention_flops(query.shape, shared.shape, shared.shape) == expected
    backward = attention_backward_flops(query.shape, query.shape, shared.shape, shared.shape)
    assert backward == 5 * expected // 2
    # The counter takes them for every kernel that an accelerator may choose.
    names = {str(op) for op in flop_registry if "_scaled_dot_product" in str(op)}
    assert names == {str(op) for op in SHARED_HEADS}


def test_every_size_has_usual_parts():
    assert speed.USUAL.keys() == speed.SIZES.keys()
