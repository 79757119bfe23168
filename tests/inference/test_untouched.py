"""The fast path answers for models that it knows by heart, and leaves every other to transformers."""

import copy

import pytest
import torch
from torch import nn

from moai.inference import fuse_weights, generate
from moai.inference.untouched import is_untouched
from moai.models.modeling import MoAIForConditionalGeneration
from tests.conftest import opened, tiny_config

GREEDY = {"max_new_tokens": 9, "do_sample": False, "eos_token_id": None}


@pytest.fixture
def model():
    torch.manual_seed(0)
    text = tiny_config().text_config
    text.tie_word_embeddings = False
    model = opened(MoAIForConditionalGeneration(tiny_config(text_config=text, tie_word_embeddings=False)))
    nn.init.normal_(model.language_model.embed_tokens.weight)
    return model.eval()


def refuses(model, inputs) -> bool:
    with pytest.raises(ValueError, match="does not know this model"):
        generate(model, **inputs, **GREEDY, fast=True)
    before = [parameter.data_ptr() for parameter in model.parameters()]
    fuse_weights(model)
    return before == [parameter.data_ptr() for parameter in model.parameters()]


def test_adapters_beside_the_weights_go_the_plain_way(model, inputs):
    peft = pytest.importorskip("peft")
    plain = generate(model, **inputs, **GREEDY, fast=True)
    where = r"language_model.*\.(q_proj|down_proj)"
    settings = peft.LoraConfig(r=4, lora_alpha=64, target_modules=where, init_lora_weights=False)
    adapted = peft.get_peft_model(copy.deepcopy(model), settings).eval()
    expected = adapted.generate(**inputs, **GREEDY)
    assert not torch.equal(expected, plain)
    assert refuses(adapted, inputs)
    assert refuses(adapted.get_base_model(), inputs)
    merged = adapted.merge_and_unload()
    assert torch.equal(generate(merged, **inputs, **GREEDY, fast=True), expected)


def test_hooks_and_replaced_parts_go_the_plain_way(model, inputs):
    class Doubled(nn.Linear):
        def forward(self, states):
            return super().forward(states) * 2

    def nothing(*_):
        return None

    layer = model.language_model.layers[1]
    for module in (model, layer, layer.mlp.up_proj, layer.input_layernorm, model.lm_head, model.language_model.norm):
        for register in (module.register_forward_hook, module.register_forward_pre_hook):
            handle = register(nothing)
            assert refuses(model, inputs)
            handle.remove()
    handle = nn.modules.module.register_module_forward_hook(nothing)
    assert refuses(model, inputs)
    handle.remove()
    layer.mlp.forward = layer.mlp.forward
    assert refuses(model, inputs)
    del layer.mlp.forward
    assert is_untouched(model)
    o_proj = layer.self_attn.o_proj
    layer.self_attn.o_proj = Doubled(32, 32, bias=False)
    assert refuses(model, inputs)
    layer.self_attn.o_proj = o_proj
    nn.utils.parametrizations.weight_norm(layer.mlp.gate_proj)
    assert refuses(model, inputs)
