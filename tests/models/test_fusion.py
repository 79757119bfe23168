"""A pass belongs to itself: checkpointing, threads, copies, forks, devices, families of decoders."""

import copy
import io
import os
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from accelerate import dispatch_model
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig

from moai.models.fusion import Fusion, FusionNorm, GateRecord
from moai.models.modeling import MoAIForConditionalGeneration
from tests import warm
from tests.conftest import opened, single, tiny_config

ROOT = Path(__file__).parents[2]


def labelled(inputs: dict, row: int) -> dict:
    one = single(inputs, row)
    labels = torch.full_like(one["input_ids"], -100)
    labels[:, -1] = one["input_ids"][:, -1]
    return one | {"labels": labels, "use_cache": False}


def gradients(model, *losses: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    sum(losses).backward()
    return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("how", ["model", "wrapped"])
def test_two_checkpointed_passes_before_one_backward(model, inputs, how):
    model.train()
    model.vision.requires_grad_(False).eval()
    if how == "model":
        model.gradient_checkpointing_enable()
    else:  # as FSDP does it, around layers that know nothing of it
        for layer in model.language_model.layers:
            run = layer.forward
            layer.forward = lambda *given, run=run, **rest: checkpoint(run, *given, use_reentrant=False, **rest)
    first, second = (labelled(inputs, row) for row in (0, 1))
    alone = [gradients(model, model(**one).loss) for one in (first, second)]
    together = gradients(model, model(**first).loss, model(**second).loss)
    assert any("image_gate" in name and gradient.any() for name, gradient in together.items())
    for name, gradient in together.items():
        torch.testing.assert_close(gradient, alone[0][name] + alone[1][name], atol=1e-6, rtol=1e-4, msg=name)


def test_backward_on_another_thread(model, inputs):
    model.train()
    model.vision.requires_grad_(False).eval()
    model.gradient_checkpointing_enable()
    first, second = (labelled(inputs, row) for row in (0, 1))
    expected = gradients(model, model(**first).loss)
    model.zero_grad()
    loss = model(**first).loss
    with ThreadPoolExecutor(1) as pool:
        pool.submit(loss.backward).result()
    with torch.no_grad():
        model(**second)
    for name, gradient in expected.items():
        torch.testing.assert_close(model.get_parameter(name).grad, gradient, atol=1e-6, rtol=1e-4, msg=name)


@torch.no_grad()
def test_two_threads_share_a_model(model, inputs):
    asked = [single(inputs, row) for row in (0, 1)]
    alone = [model(**one).logits for one in asked]
    together = threading.Barrier(2)

    def ask(index: int) -> list[torch.Tensor]:
        together.wait()
        with torch.no_grad():
            return [model(**asked[index]).logits for _ in range(20)]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, (0, 1)))
    right = [torch.allclose(one, alone[index], atol=1e-5) for index in (0, 1) for one in answers[index]]
    assert sum(right) == 40


@torch.no_grad()
@pytest.mark.parametrize("how", ["pickle", "save", "copy"])
def test_a_whole_model_in_a_file(model, inputs, how):
    model(**inputs)
    expected = model(**inputs).logits
    file = io.BytesIO()
    if how == "pickle":
        again = pickle.loads(pickle.dumps(model))
    elif how == "save":
        torch.save(model, file)
        file.seek(0)
        again = torch.load(file, weights_only=False)
    else:
        again = copy.deepcopy(model)
    assert torch.equal(again(**inputs).logits, expected)
    for parameter in again.mixers.parameters():
        parameter.add_(1.0)
    assert (again(**inputs).logits - expected).abs().max() > 1e-4
    assert torch.equal(model(**inputs).logits, expected)


FORKING = """
import os, signal, torch
from moai.models.configuration import MoAIConfig
from moai.models.modeling import MoAIForConditionalGeneration

torch.set_num_threads(2)
model = MoAIForConditionalGeneration(MoAIConfig.moai_nano()).eval()
pixels = torch.ones(2, 3, 48, 48)
with torch.no_grad():
    seen = model.image_features(pixels)
    if not os.fork():
        signal.alarm(60)
        os._exit(0 if torch.allclose(model.image_features(pixels), seen, atol=1e-5) else 3)
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_forked_child_answers():
    # In a process of its own, since perception, which tests import, looks after forked children too.
    assert warm.run([sys.executable, "-c", FORKING], ROOT, os.environ).returncode == 0


@torch.no_grad()
def test_layers_on_disk(model, inputs, tmp_path):
    gates, again = GateRecord(), GateRecord()
    expected = model(**inputs, gates=gates).logits
    said = model.generate(**inputs, max_new_tokens=3, do_sample=False, eos_token_id=None)
    places = {name: "cpu" for name, _ in model.named_children()} | {"mixers": "disk"}
    del places["language_model"]
    places |= {f"language_model.{name}": "cpu" for name, _ in model.language_model.named_children() if name != "layers"}
    places |= {f"language_model.layers.{index}": place for index, place in enumerate(("cpu", "disk", "disk"))}
    dispatch_model(model, places, main_device="cpu", offload_dir=tmp_path)
    assert model.mixers["2"].image_gate.weight.device.type == "meta"
    assert torch.equal(model(**inputs, gates=again).logits, expected)
    assert torch.equal(again.layers[2].image, gates.layers[2].image)
    assert torch.equal(model.generate(**inputs, max_new_tokens=3, do_sample=False, eos_token_id=None), said)


@torch.no_grad()
def test_a_pass_follows_its_layers_to_another_device(model, inputs):
    # The meta device has no numbers, but refuses tensors of other devices as every device does.
    model.language_model.layers[2].to("meta")
    model.mixers["2"].to("meta")
    embeds, fusion = model.fuse(**inputs)
    assert fusion.device == torch.device("cpu") and fusion.to("meta").language_mask.is_meta
    position = torch.arange(embeds.shape[1])[None]
    cos, sin = (table.to("meta") for table in model.language_model.rotary_emb(embeds, position))
    states = model.language_model.layers[2](embeds.to("meta"), position_embeddings=(cos, sin), fusion=fusion)
    assert states.is_meta and states.shape == embeds.shape


@torch.no_grad()
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma2"])
def test_decoders_of_other_families(inputs, family):
    sizes = tiny_config().text_config
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    names += ("num_key_value_heads", "max_position_embeddings", "pad_token_id", "bos_token_id", "eos_token_id")
    text = AutoConfig.for_model(family, **{name: getattr(sizes, name) for name in names}, head_dim=8)
    torch.manual_seed(0)
    model = opened(MoAIForConditionalGeneration(tiny_config(text_config=text, tie_word_embeddings=False))).eval()
    kept = {name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    assert (model(**inputs).logits - model(**kept).logits).abs().max() > 1e-3
    said = model.generate(**inputs, max_new_tokens=4, do_sample=False, eos_token_id=None)
    uncached = model.generate(**inputs, max_new_tokens=4, do_sample=False, eos_token_id=None, use_cache=False)
    assert torch.equal(said, uncached)


def test_keys_are_those_of_the_decoder(model):
    keys = {name for name in model.state_dict() if "lora_" not in name}
    layer = {name for name in keys if name.startswith("language_model.layers.0.")}
    linears = [*(f"self_attn.{name}_proj" for name in "qkvo"), *(f"mlp.{name}_proj" for name in ("gate", "up", "down"))]
    norms = ["input_layernorm", "post_attention_layernorm"]
    assert layer == {f"language_model.layers.0.{name}.weight" for name in linears + norms}
    assert {name.split(".")[1] for name in keys if "image_gate" in name} == {"0", "2"}
    assert all(name.startswith("mixers.") for name in keys if "_gate.weight" in name)


def test_a_norm_that_a_folder_lacks_starts_as_norms_do(model, tmp_path):
    kept = {name: value for name, value in model.state_dict().items() if "layers.0.input_layernorm" not in name}
    model.save_pretrained(tmp_path, state_dict=kept)
    again = MoAIForConditionalGeneration.from_pretrained(tmp_path)
    norm = again.language_model.layers[0].input_layernorm
    assert isinstance(norm, FusionNorm) and torch.equal(norm.weight, torch.ones(32))


@torch.no_grad()
def test_gates_of_a_pass(model, inputs):
    gates = GateRecord()
    model(**inputs, gates=gates)
    assert list(gates.layers) == [0, 2]
    for layer in gates.layers.values():
        assert layer.image.shape == (2, 64, 3) and layer.language.shape[:2] == layer.language_mask.shape
        torch.testing.assert_close(layer.image.sum(dim=-1), torch.ones(2, 64))
    resting = GateRecord()
    model(**{name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}, gates=resting)
    assert resting.layers == {}
    assert Fusion().device is None
