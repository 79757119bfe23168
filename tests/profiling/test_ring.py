"""The measurement of models that are larger than their share of the card, at a tiny size on the CPU."""

import json

import pytest

from moai.profiling import model as speed_model
from moai.profiling import ring
from tests.conftest import tiny_config


def test_every_cell_is_measured_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(speed_model.SIZES, "nano", (tiny_config, 40, 9))
    monkeypatch.setattr(ring, "RATE_BYTES", 2**20)
    out = tmp_path / "new" / "cells.jsonl"
    given = ["--small", "--tiers", "bf16,int4", "--tokens", "3", "--repeats", "1", "--out", str(out)]
    ring.main([*given, "--batches", "2", "--baselines", "accelerate"])
    cells = [json.loads(line) for line in out.read_text().splitlines()]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")] == cells
    assert cells[0]["cell"] == "host to device" and cells[0]["pinned_gb_s"] > 0
    measured = [cell for cell in cells if cell["cell"] == "ring"]
    assert [(cell["memory"], cell["rows"], cell["streamed"]) for cell in measured] == [
        ("2 layers", 2, 3), ("3 layers", 2, 0)
    ]  # fmt: skip
    assert [cell["between"] for cell in measured] == [3, 0] and measured[0]["streamed_bytes"] == 0
    assert measured[0]["alone_tokens_s"] > 0 and all(cell["tokens_s"] > 0 and cell["within"] for cell in measured)
    assert next(cell for cell in cells if cell.get("tier") == "int4")["failed"].startswith("int4 needs a CUDA device")
    accelerate = [cell for cell in cells if cell["cell"] == "accelerate"]
    assert accelerate[0]["made"] and [cell["prefill_ms"] > 0 for cell in accelerate[1:]] == [True]
    ring.main([*given, "--batches", "1", "--baselines", "accelerate", "--time-limit", "0"])
    added = [json.loads(line) for line in out.read_text().splitlines()][len(cells) :]
    assert added[-1]["left_out"] == "no time was left"
    with pytest.raises(ValueError, match="unknown baseline 'magic'; allowed are accelerate, diffusers"):
        ring.main(["--small", "--baselines", "magic"])
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="there is no CUDA device; --small runs on the CPU"):
        ring.main([])
