"""Partial LoRA: image tokens only, and nothing of it while decoding."""

import torch
from torch import nn

from moai.models.fusion import Fusion, FusionLayer, in_place_of
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.plora import PartialLoRALinear, add_partial_lora
from tests.conftest import tiny_config


class OneLinear(nn.Module):
    """As much of a decoder layer as matters here."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.linear = linear

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.linear(states)


def test_the_formula_on_image_tokens_alone():
    torch.manual_seed(0)
    linear = PartialLoRALinear(nn.Linear(6, 5), rank=2, alpha=3.0)
    states, layer = torch.randn(2, 4, 6), in_place_of(OneLinear(linear), FusionLayer)
    plain = states @ linear.weight.T + linear.bias
    torch.testing.assert_close(layer(states), plain)
    mask = torch.tensor([[False, True, True, False], [True, False, False, False]])
    branch = 3.0 / 2 * states @ linear.lora_A.weight.T @ linear.lora_B.weight.T
    result = layer(states, fusion=Fusion(mask))
    torch.testing.assert_close(result[mask], (plain + branch)[mask])
    assert torch.equal(result[~mask], nn.functional.linear(states, linear.weight, linear.bias)[~mask])
    torch.testing.assert_close(layer(states), plain)


def test_every_linear_of_a_layer_keeps_its_weight_and_key():
    layers = nn.ModuleList([nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Sequential(nn.Linear(3, 4, bias=False)))])
    weights = {key: value.clone() for key, value in layers.state_dict().items()}
    add_partial_lora(layers, 2, 2.0)
    after = layers.state_dict()
    assert all(torch.equal(after[key], value) for key, value in weights.items())
    assert sum("lora_" in key for key in after) == 4
    assert type(layers[0][1]) is nn.ReLU


@torch.no_grad()
def test_in_the_decoder(model, inputs):
    plain = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    text = torch.tensor([[5, 6, 7, 8]])
    before_image = model(**plain, pixel_values=inputs["pixel_values"]).logits
    before_text = model(input_ids=text).logits
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.add_(0.3)
    assert (model(**plain, pixel_values=inputs["pixel_values"]).logits - before_image).abs().max() > 1e-3
    assert torch.equal(model(input_ids=text).logits, before_text)


@torch.no_grad()
def test_off_while_decoding(model, inputs):
    seen = []
    watched = model.language_model.layers[0].mlp.up_proj.lora_A
    watched.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    model.generate(**inputs, max_new_tokens=4, do_sample=False, eos_token_id=None)
    assert seen == [inputs["input_ids"].shape[1]]


def test_without_rank_there_is_none():
    plain = MoAIForConditionalGeneration(tiny_config(plora_rank=0))
    assert not any(isinstance(module, PartialLoRALinear) for module in plain.modules())
