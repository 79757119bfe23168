"""LoRA on the decoder: starts closed, is for all tokens, is saved with the model, and can be merged."""

import pytest
import torch

from moai.models.adapters.lora import add_lora, merge_lora
from moai.models.modeling import MoAIForConditionalGeneration
from moai.training.stages import freeze_all_but, parameter_groups


@torch.no_grad()
def open_lora(model) -> None:
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B.default" in name:
            parameter.normal_(std=0.1)


@torch.no_grad()
def test_it_starts_closed_is_saved_and_merges(model, inputs, tmp_path):
    plain = model(**inputs).logits
    add_lora(model, 4, 8.0, ["q_proj", "down_proj"])
    assert torch.equal(model(**inputs).logits, plain)
    open_lora(model)
    opened = model(**inputs).logits
    text = {"input_ids": torch.tensor([[5, 6, 7, 8]])}  # no image token: partial LoRA rests
    assert (opened - plain).abs().max() > 0.1
    said = model(**text).logits
    model.save_pretrained(tmp_path)
    again = MoAIForConditionalGeneration.from_pretrained(tmp_path)
    assert again.config.lora == {"rank": 4, "alpha": 8.0, "targets": ["down_proj", "q_proj"]}
    assert torch.equal(again(**inputs).logits, opened)
    merge_lora(again)
    assert again.config.lora is None and not [name for name in again.state_dict() if "default" in name]
    torch.testing.assert_close(again(**inputs).logits, opened, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(again(**text).logits, said, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="has LoRA already"):
        add_lora(model, 4, 8.0)


def test_it_is_a_part_that_trains(model, inputs):
    add_lora(model, 2, 4.0)
    linears = 7 * model.config.text_config.num_hidden_layers
    assert len(parameter_groups(model)["lora"]) == 2 * linears
    freeze_all_but(model, ("lora",))
    open_lora(model)
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert len(trained) == 2 * linears and all(".default." in name for name in trained)


def test_what_cannot_be_is_one_sentence(model):
    with pytest.raises(ValueError, match="the decoder has no linear 'qkv'; it has down_proj, gate_proj, k_proj"):
        add_lora(model, 4, 8.0, ["q_proj", "qkv"])
    with pytest.raises(ValueError, match="a rank of at least 1"):
        add_lora(model, 0, 8.0)
    assert model.config.lora is None
