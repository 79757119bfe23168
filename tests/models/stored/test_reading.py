"""Folders of models that are broken, lie, or mean harm: each is refused in one sentence, and nothing of it runs."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from moai.loading import load_model

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def changed(file: str, **fields) -> Callable[[Path], None]:
    """Fields of a JSON file, deeper ones by names with two underscores between; None takes one out."""

    def change(folder: Path) -> None:
        told = json.loads((folder / file).read_text())
        for name, value in fields.items():
            *path, last = name.split("__")
            place = told
            for one in path:
                place = place[one]
            place[last] = value
            if value is None:
                del place[last]
        (folder / file).write_text(json.dumps(told))

    return change


def config(**fields) -> Callable[[Path], None]:
    return changed("config.json", **fields)


def written(file: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_text(text) and None


def without(*files: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / file).unlink() for file in files] and None


def linked(file: str, target: str) -> Callable[[Path], None]:
    def link(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).symlink_to(target)

    return link


def pipe(file: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        os.mkfifo(folder / file)

    return make


def weights(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        held = load_file(folder / WEIGHTS)
        change(held)
        save_file(held, folder / WEIGHTS, {"format": "pt"})

    return write


def cut(count: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / WEIGHTS, count)


def index(**files: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / WEIGHTS).rename(folder / "model-00001-of-00001.safetensors")
        told = {"metadata": {}, "weight_map": {name.replace("__", "."): file for name, file in files.items()}}
        (folder / INDEX).write_text(json.dumps(told))

    return write


def huge(file: str) -> Callable[[Path], None]:
    def grow(folder: Path) -> None:
        with (folder / file).open("ab") as opened:
            opened.truncate(65 * 2**20)  # sparse

    return grow


DEEP = "[" * 100_000 + "]" * 100_000
ROPE = {"rope_type": "default", "rope_theta": 1e4}
CASES = {
    "dtype": (config(dtype="float99"), "its configuration says dtype 'float99', which torch does not know"),
    "rope": (
        config(text_config__rope_parameters={"rope_type": "junk"}),
        "its configuration cannot be used: something in it is missing",
    ),
    "rope list": (config(text_config__rope_parameters=[1]), "Validation error for field 'rope_parameters'"),
    "rope text": (config(text_config__rope_parameters=ROPE | {"rope_theta": "x"}), "configuration cannot be used"),
    "rope zero": (
        config(text_config__rope_parameters=ROPE | {"rope_theta": 0}),
        "rotary frequencies that are no numbers",
    ),
    "tokenizer empty": (written("tokenizer.json", "{}"), "its processor or tokenizer cannot be used"),
    "tokenizer junk": (written("tokenizer.json", "junk"), "its processor or tokenizer cannot be used"),
    "no tokenizer": (without("tokenizer.json"), "its processor or tokenizer cannot be used"),
    "no tokenizer settings": (without("tokenizer_config.json"), "its tokenizer_config.json is missing"),
    "no padding": (changed("tokenizer_config.json", pad_token=None), "its tokenizer has no padding token"),
    "no processor": (without("processor_config.json"), "its processor_config.json is missing"),
    "processor list": (written("processor_config.json", "[]"), "its processor_config.json holds no JSON object"),
    "other processor": (
        changed("processor_config.json", processor_class="CLIPProcessor"),
        "no processor of a MoAI model",
    ),
    "image tokens": (changed("processor_config.json", num_image_tokens=65), "differ in num_image_tokens: 65 and 64"),
    "image token": (config(image_token_id=7), "differ in image_token_id: 3 and 7"),
    "no config": (without("config.json"), "it must be a folder that holds one"),
    "config list": (written("config.json", "[]"), "its config.json holds no JSON object"),
    "config deep": (written("config.json", DEEP), "its config.json is not valid JSON"),
    "config huge": (huge("config.json"), "its config.json has 65 MiB; allowed are 64"),
    "kind": (config(model_type=[1]), "its config.json says no model_type"),
    "host": (config(text_config={"model_type": "bert"}), r"its decoder \(BertModel\) has no embed_tokens"),
    "host unknown": (config(text_config__model_type="nonesuch"), "its config.json cannot be used: Unrecognized model"),
    "host text": (config(text_config="llama"), "its config.json cannot be used"),
    "quantised": (
        config(quantization_config={"quant_method": "gptq", "bits": 4}),
        "its weights cannot be read: .*GPTQ",
    ),
    "million layers": (config(text_config__num_hidden_layers=10**6), "says text_config.num_hidden_layers 1000000"),
    "many layers": (config(text_config__num_hidden_layers=99_999), "asks for over 6012 tensors"),
    "depth": (config(compressor_depth=99_999), "asks for over 6012 tensors"),
    "latents": (config(compressor_num_latents=10**12), "asks for 32,000,000,316,781 parameters, its weights hold"),
    "words": (config(text_config__vocab_size=10**11), "parameters, its weights hold"),
    "negative": (config(text_config__hidden_size=-32), "cannot be used"),
    "heads": (config(text_config__num_attention_heads=0), "its config.json cannot be used"),
    "mixer heads": (config(mixer_heads=3), "mixer_heads is 3, but must divide the decoder's width, 32"),
    "mixers": (config(mixer_layers=3), "its config.json cannot be used"),
    "mixer less": (config(mixer_layers=[0]), "its weights hold mixers.2.+ which its configuration does not have"),
    "layer less": (
        config(text_config__num_hidden_layers=2, mixer_layers=[0]),
        "its weights hold language_model.layers.2",
    ),
    "layer more": (config(text_config__num_hidden_layers=4), "incomplete, language_model.layers.3.+ is missing"),
    "lora": (config(lora={"rank": 10**12}), "needs a rank, an alpha and targets"),
    "image size": (config(vision_config__image_size=10**7), "parameters, its weights hold"),
    "encoder of a hub": (config(vision_config__name="hf-hub:some/eye"), "timm knows no architecture 'hf-hub:some/eye'"),
    "feature level": (config(vision_config__feature_level=99), "timm has no feature level 99"),
    "positions": (config(text_config__max_position_embeddings=10), "and the model has 10 positions"),
    "kernels": (config(text_config__attn_implementation="some/kernel"), "asks for kernels of a hub"),
    "other weights": (config(transformers_weights="../x.safetensors"), "names files of weights"),
    "generation": (changed("generation_config.json", eos_token_id="end"), "says eos_token_id 'end'; allowed are ids"),
    "generation deep": (written("generation_config.json", DEEP), "its generation_config.json is not valid JSON"),
    "cut": (cut(100_000), "its model.safetensors is broken or incomplete"),
    "empty": (cut(0), "its model.safetensors is broken or incomplete"),
    "no weights": (without(WEIGHTS), "it holds no weights: neither model.safetensors nor"),
    "a weight less": (weights(lambda held: held.pop("projector.0.bias")), "incomplete, projector.0.bias is missing"),
    "a weight more": (weights(lambda held: held.update(more=torch.zeros(2))), "its weights hold more, which"),
    "shape": (
        weights(lambda held: held.update({"projector.0.bias": torch.zeros(3)})),
        r"projector.0.bias is \(3,\), and its configuration asks for \(32,\)",
    ),
    "no number": (
        weights(lambda held: held["projector.0.bias"][3:4].fill_(float("nan"))),
        "its projector.0.bias holds values that are infinite or no numbers",
    ),
    "infinite": (
        weights(lambda held: held["projector.0.bias"][3:4].fill_(-float("inf"))),
        "its projector.0.bias holds values that are infinite or no numbers",
    ),
    "index outside": (
        index(a="../other/model.safetensors"),
        "names '../other/model.safetensors'; allowed are files of the",
    ),
    "index absolute": (index(a="/etc/passwd"), "names '/etc/passwd'; allowed are files of the same folder"),
    "index missing": (index(a="model-2.safetensors"), "names model-2.safetensors, which is missing"),
    "index empty": (index(), "has no weight_map of names and files"),
    "device": (linked(WEIGHTS, "/dev/zero"), "its model.safetensors is no file, but a device"),
    "device beside": (linked("tokenizer.json", "/dev/random"), "its tokenizer.json is no file, but a device"),
    "circle": (linked("config.json", "config.json"), "its config.json is no file, but a device, a pipe or a link to"),
    "pipe": (pipe("chat_template.jinja"), "its chat_template.jinja is no file, but a device, a pipe"),
    "peft": (written("adapter_config.json", "{}"), "an adapter of peft beside the model"),
}


def copy(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


@pytest.mark.parametrize("case", CASES)
def test_a_bad_folder_is_refused_in_a_sentence(case, model_folder, tmp_path):
    change, sentence = CASES[case]
    folder = copy(model_folder, tmp_path)
    change(folder)
    with pytest.raises(ValueError, match=sentence) as caught:
        load_model(str(folder), torch.float32)
    assert str(caught.value).startswith(f"no MoAI model could be loaded from {str(folder)!r}: ")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


EVIL = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
class Evil: pass
"""


class Pickled:
    """Leaves a file when it is unpickled."""

    def __init__(self, folder: Path):
        self.mark = folder / "ran"

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_code_and_pickles_of_a_folder_are_not_run(model_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = copy(model_folder, tmp_path)
    for name in ("evil.py", "custom_generate/generate.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(EVIL)
    torch.save({"projector.0.bias": Pickled(folder)}, folder / "pytorch_model.bin")
    kinds = ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoProcessor")
    autos = dict.fromkeys(kinds, "evil.Evil")
    config(auto_map=autos, text_config__auto_map=autos, vision_config__auto_map=autos)(folder)
    changed("processor_config.json", auto_map={"AutoProcessor": "evil.Evil"})(folder)
    load_model(str(folder), torch.float32)
    changed("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]})(folder)
    load_model(str(folder), torch.float32)
    changed("tokenizer_config.json", tokenizer_class="Evil")(folder)
    config(model_type="evil")(folder)
    with pytest.raises(ValueError, match="it is a evil model"):
        load_model(str(folder), torch.float32)
    config(model_type="moai")(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ValueError, match="it holds no weights"):
        load_model(str(folder), torch.float32)
    assert not (folder / "ran").exists()
