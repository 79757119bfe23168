"""Language models and vision encoders that a model is built of, and adapters, out of folders that are broken or lie."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from moai.models.adapters.folder import RECORD, load_adapter, save_adapter
from moai.models.adapters.folder import WEIGHTS as ADAPTER
from moai.models.pretrained.language import load_language
from moai.models.pretrained.vision import load_vision
from moai.models.stored.reading import read_model
from tests.models.pretrained.families import language_model, vision_encoder
from tests.models.stored.test_reading import (
    DEEP,
    EVIL,
    WEIGHTS,
    Pickled,
    config,
    cut,
    index,
    linked,
    pipe,
    weights,
    written,
)

CASES = {
    "layer less": (config(num_hidden_layers=1), "its weights hold .*layers.1.* which its configuration does not have"),
    "layer more": (config(num_hidden_layers=3), "its weights are incomplete, .*layers.2.* is missing"),
    "many layers": (config(num_hidden_layers=99_999), "tensors, far more than its weights are"),
    "width": (config(intermediate_size=10**9), "parameters, its weights hold"),
    "heads": (config(num_attention_heads=0), "ZeroDivisionError"),
    "kernels": (config(attn_implementation="some/kernel"), "asks for kernels of a hub"),
    "dtype": (config(dtype="float99"), "which torch does not know"),
    "deep": (written("config.json", DEEP), "its config.json is not valid JSON"),
    "cut": (cut(3000), "its model.safetensors is broken or incomplete"),
    "index": (index(a="../other.safetensors"), "allowed are files of the same folder"),
    "no number": (
        weights(lambda held: held[min(held)][0].fill_(float("nan"))),
        "values that are infinite or no numbers",
    ),
    "device": (linked(WEIGHTS, "/dev/zero"), "is no file, but a device"),
    "pipe": (pipe("preprocessor_config.json"), "is no file, but a device, a pipe"),
}
PARTS = {
    "language": (lambda folder: load_language(folder, None), "no language model could be loaded from "),
    "vision": (lambda folder: load_vision(str(folder)), "no vision encoder could be loaded from "),
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return {
        "language": language_model("llama", folder / "language"),
        "vision": vision_encoder("clip", folder / "vision"),
    }


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("case", CASES)
def test_a_bad_part_is_refused_in_a_sentence(part, case, parts, tmp_path):
    load, failed = PARTS[part]
    change, sentence = CASES[case]
    folder = shutil.copytree(parts[part], tmp_path / part)
    change(folder)
    with pytest.raises(ValueError, match=sentence) as caught:
        load(folder)
    assert str(caught.value).startswith(failed) and "\n" not in str(caught.value)


@pytest.mark.parametrize("part", PARTS)
def test_code_and_pickles_of_a_part_are_not_run(part, parts, tmp_path):
    folder = shutil.copytree(parts[part], tmp_path / part)
    (folder / "evil.py").write_text(EVIL)
    kinds = ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer", "AutoImageProcessor")
    config(auto_map=dict.fromkeys(kinds, "evil.Evil"))(folder)
    torch.save({"weight": Pickled(folder)}, folder / "pytorch_model.bin")
    PARTS[part][0](folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ValueError, match="could be loaded from"):
        PARTS[part][0](folder)
    config(model_type="evil")(folder)
    with pytest.raises(ValueError, match="could be loaded from"):
        PARTS[part][0](folder)
    assert not (folder / "ran").exists()


@pytest.fixture(scope="module")
def adapter(model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    trained, base = read_model(model_folder, torch.float32), read_model(model_folder)
    with torch.no_grad():
        trained[0].projector[0].weight.add_(1)
    save_adapter(trained, base, model_folder, folder)
    return folder


def record(**changes):
    def change(folder):
        told = json.loads((folder / RECORD).read_text())
        for name, value in changes.items():
            place, _, last = name.rpartition("__")
            (told[place] if place else told)[last] = value
        (folder / RECORD).write_text(json.dumps(told))

    return change


def reshaped(folder):
    held = load_file(folder / ADAPTER)
    save_file({name: tensor[:1].contiguous() for name, tensor in held.items()}, folder / ADAPTER)


ADAPTERS = {
    "no object": (written(RECORD, "[]"), "holds no JSON object"),
    "deep": (written(RECORD, DEEP), "is not valid JSON"),
    "dtype": (record(base__dtype="nn"), "the dtype of its base is 'nn', which torch does not know"),
    "name": (record(base__name=7), "its base has no name, dtype and sha256"),
    "base": (record(base={"name": "x"}), r"cannot be used: something in it is missing.*\(TypeError\)"),
    "layers": (record(config__compressor_depth=10**9), "its configuration says compressor_depth 1000000000"),
    "many layers": (record(config__compressor_depth=99_999), "tensors, far more than its weights are"),
    "width": (record(config__mixer_heads=3), "mixer_heads is 3, but must divide the decoder's width"),
    "lora": (record(config__lora={"rank": 10**12, "alpha": 1, "targets": ["q_proj"]}), "lora is .* it needs a rank"),
    "lora missing": (record(config__lora={"rank": 2, "alpha": 2, "targets": ["q_proj"]}), "the adapter lacks"),
    "shape": (reshaped, "projector.0.weight is .* and its configuration asks for"),
    "device": (linked(ADAPTER, "/dev/zero"), "is no file, but a device"),
    "cut": (lambda folder: (folder / ADAPTER).write_bytes(b"\0" * 9), "is broken or incomplete, and cannot be read"),
}


@pytest.mark.parametrize("case", ADAPTERS)
def test_a_bad_adapter_is_refused_in_a_sentence(case, adapter, tmp_path):
    change, sentence = ADAPTERS[case]
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    load_adapter(folder, torch.float32) if case == "dtype" else None  # that it is whole
    change(folder)
    with pytest.raises(ValueError, match=sentence) as caught:
        load_adapter(folder, torch.float32)
    assert "\n" not in str(caught.value)
