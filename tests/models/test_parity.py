"""The converted reference checkpoint gives the numbers that the reference implementation gave (fp32, CPU)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from moai.models.fusion import GateRecord
from moai.models.inputs.image_processing import normalize_pixels
from moai.models.released.convert import from_reference
from perception.panoptic import voc_palette

FIXTURES = Path(__file__).parents[1] / "fixtures"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reference():
    return load_file(FIXTURES / "reference_io.safetensors")


@pytest.fixture(scope="module")
def model():
    sizes = json.loads((FIXTURES / "config.json").read_text())
    return from_reference(load_file(FIXTURES / "reference_checkpoint.safetensors"), sizes)


@pytest.fixture(scope="module")
def inputs(model, reference):
    ids = reference["input.input_ids"]
    place = (ids[0] == model.config.image_token_id).nonzero().item()
    image = torch.full((1, model.config.num_image_tokens), model.config.image_token_id)
    color_map = torch.from_numpy(voc_palette())[reference["input.segmentation"].long()].permute(2, 0, 1)[None]
    return {
        "input_ids": torch.cat((ids[:, :place], image, ids[:, place + 1 :]), dim=1),
        "pixel_values": normalize_pixels(reference["input.image_uint8"]),
        "aux_input_ids": reference["input.verbalization_ids"],
        "panoptic_pixel_values": normalize_pixels(color_map, legacy_color_map=True),
    }


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_vision_features_and_compressor(model, inputs, reference):
    assert torch.equal(inputs["input_ids"] == model.config.image_token_id, reference["input.image_mask"])
    close(model.vision(inputs["pixel_values"]), reference["output.image_features"])
    close(model.image_features(inputs["panoptic_pixel_values"]), reference["output.map_embeds"])
    close(
        model.encode(**{k: v for k, v in inputs.items() if k != "input_ids"})["aux_tokens"],
        reference["output.aux_tokens"],
    )


@torch.no_grad()
def test_mixers_gates_and_logits(model, inputs, reference):
    seen = {}
    handles = []
    for layer in model.config.mixer_layers:
        norm = model.language_model.layers[layer].input_layernorm

        def look(norm, args, mixed, layer=layer):
            seen[layer] = (LlamaRMSNorm.forward(norm, args[0]), mixed)

        handles.append(norm.register_forward_hook(look))
    gates = GateRecord()
    try:
        output = model(**inputs, gates=gates)
    finally:
        for handle in handles:
            handle.remove()
    close(output.logits, reference["output.logits"])
    assert list(gates.layers) == model.config.mixer_layers
    for layer, (image_gate, language_gate, _) in gates.layers.items():
        close(seen[layer][0], reference[f"output.layer{layer}.mixer_input"])
        close(seen[layer][1], reference[f"output.layer{layer}.mixer_output"])
        close(image_gate[0], reference[f"output.layer{layer}.gate_image"])
        close(language_gate[0], reference[f"output.layer{layer}.gate_language"])


@torch.no_grad()
def test_greedy_generation(model, inputs, reference):
    expected = reference["output.generated_ids"]
    generated = model.generate(**inputs, max_new_tokens=expected.shape[1], do_sample=False, eos_token_id=None)
    assert torch.equal(generated[:, -expected.shape[1] :], expected)
    # The recorded logits of step t are those after token t was fed.
    prompt = inputs["input_ids"]
    prompt_mask = torch.cat((torch.ones_like(prompt), torch.zeros_like(expected)), dim=1)
    output = model(**inputs | {"input_ids": generated, "prompt_mask": prompt_mask})
    close(output.logits[:, prompt.shape[1] :], reference["output.step_logits"])
