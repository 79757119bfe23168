"""Training on rows of one's own, with examples of them held out, and LoRA."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from moai.models.modeling import MoAIForConditionalGeneration
from moai.training import command
from moai.training.run import hold, load_model
from moai.training.stages import freeze_all_but
from tests.conftest import EXAMPLES


@pytest.fixture
def given(tmp_path, model_folder):
    """The arguments of two steps on three pictures, without experts."""
    asked = [("street.png", "What does the sign say?", "GALLERY"), ("bed.png", "Is there a bed?", "Yes")]
    rows = [
        {
            "image": name,
            "conversations": [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}],
        }
        for name, question, answer in [*asked, ("table.png", "What is this?", "A table")]
    ]
    for row in rows:
        Image.open(EXAMPLES / row["image"]).resize((32, 32)).save(tmp_path / row["image"])
    (tmp_path / "data.json").write_text(json.dumps(rows))
    settings = ["steps=2", "rows=2", "questions=1", "log_every=1", "show_every=2", "evaluate=1", "expert_words=false"]
    data = f"data=[{{name: llava, file: {tmp_path / 'data.json'}, hold_out: 1}}]"
    return ["finetune_lora", f"init={model_folder}", f"output={tmp_path / 'out'}", *settings, data]


def test_held_out_rows_are_asked(given, tmp_path, capsys):
    assert command.main([*given, "lora_targets=[q_proj]", "lora_rank=2"]) == 0
    said = capsys.readouterr().out
    marks = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert set(marks) == {"backbone alone"} and set(marks["backbone alone"]) == {"loss", "exact", "contained", "count"}
    assert marks["backbone alone"]["count"] == 1 and 0 < marks["backbone alone"]["loss"] < 30
    assert "| backbone alone | 1 |" in said and "step 1: loss" in said
    held = [line for line in said.splitlines() if line.startswith("  step 2: ")]
    assert len(held) == 1 and any(answer in held[0] for answer in ("(GALLERY)", "(Yes)", "(A table)"))
    model = MoAIForConditionalGeneration.from_pretrained(tmp_path / "out")
    moved = model.get_parameter("language_model.layers.0.self_attn.q_proj.lora_B.default.weight")
    assert model.config.lora == {"rank": 2, "alpha": 4.0, "targets": ["q_proj"]} and moved.abs().max() > 0


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["rows=3", "accumulate=2"], "a step has 3 samples (3 rows, 1 a sample), which cannot be shared evenly by 1"),
        (["tracker=trackio"], "tracker trackio is not installed: pip install trackio"),
        (["frozen_precision=bf16"], "say precision=bf16, too"),
        (["lora_targets=[qkv]"], "the decoder has no linear 'qkv'"),
        (["lora_rank=0"], "cannot unfreeze ['lora']"),
        (["sharding=zero"], "sharding is 'zero'; allowed are ddp, fsdp"),
        (["clip=0"], "clip is 0.0; it must be above 0"),
        (["init=nobody"], "there is no model in nobody to start from"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(given, more, sentence, monkeypatch, capsys):
    monkeypatch.setattr("moai.training.run.find_spec", lambda name: None)
    assert command.main([*given, *more]) == 2
    last = capsys.readouterr().err.splitlines()[-1]  # behind a bar of those that load a model
    assert last.startswith("train.py: ") and sentence in last


def test_what_is_frozen_is_held_in_bf16_and_the_rest_as_it_was(model_folder):
    exact = load_file(model_folder / "model.safetensors")
    model, _ = load_model(model_folder, torch.bfloat16)
    freeze_all_but(model, ("mixers", "projector"))
    hold(model, str(model_folder))
    kinds = {name: parameter.dtype for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad or (name.startswith("vision.") and ".bn" in name):
            assert kinds[name] == torch.float32 and torch.equal(parameter, exact[name]), name
    assert kinds["language_model.embed_tokens.weight"] == kinds["compressor.latents"] == torch.bfloat16
    assert all(one.dtype != torch.bfloat16 for one in model.buffers())
