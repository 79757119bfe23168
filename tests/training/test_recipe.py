"""The recipe of the model for photographs: built from pretrained parts, taught language first, kept as an adapter."""

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from moai.loading import load_model
from moai.training import recipe
from tests.models.pretrained.families import language_model, vision_encoder


def tiny_parts(folder: Path) -> dict:
    """What `build` is told about a tiny model, made in `folder`."""
    return {
        "language_model": str(language_model("llama", folder / "host")),
        "vision": str(vision_encoder("clip", folder / "eyes")),
        "experts_from": "drawn",
        "mixers": (1,),
        "image_size": None,
        "rank": 4,
        "latents": 6,
    }


def test_half_a_model_is_built_anew(tmp_path):
    parts, folder = tiny_parts(tmp_path), tmp_path / "base"
    for file in ("model.safetensors", "config.json"):
        weights = recipe.built(parts, folder) / file
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-20])
        recipe.built(parts, folder)
        assert weights.read_bytes() == whole
    assert (folder / "processor_config.json").is_file()


def test_the_small_model_is_built_taught_and_kept_as_an_adapter(tmp_path, monkeypatch, capsys):
    parts = tiny_parts(tmp_path)
    small = recipe.RECIPES["small"]
    tiny = dataclasses.replace(small, built=dict(small.built) | parts)
    monkeypatch.setitem(recipe.RECIPES, "small", tiny)
    given = ["data=[{name: drawn}]", "workers=0", "steps=1", "rows=2", "questions=1", "compile=none"]
    given += ["precision=float32", "frozen_precision=float32", "lora_rank=2", "show_every=0"]
    told = ["--model", "small", "--export", str(tmp_path / "kept"), "--share", "50", "--", *given]
    assert recipe.main([str(tmp_path / "runs"), *told]) == 0
    assert recipe.main([str(tmp_path / "runs"), *told]) == 0
    said = capsys.readouterr().out
    assert said.count("== language") == said.count("== fusion") == 1
    history = json.loads((tmp_path / "runs" / "fusion" / "training.json").read_text())["history"]
    assert [one["stage"] for one in history] == ["small_language", "small"]
    kept = load_file(tmp_path / "kept" / "adapter.safetensors")
    assert {one.dtype for one in kept.values() if one.is_floating_point()} == {torch.float16}
    assert any(".lora_A." in name for name in kept)
    again, trained = (load_model(str(tmp_path / place), torch.float32)[0] for place in ("kept", "runs/fusion"))
    assert again.config.plora_rank == 0 and again.config.mixer_layers == [1]
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=2e-3, rtol=2e-3)
