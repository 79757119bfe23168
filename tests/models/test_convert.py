"""A checkpoint folder in the authors' layout becomes a folder that `MoAI.from_pretrained` answers from."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from moai.assistant import MoAI
from moai.cli import main
from moai.models.released.checkpoint import convert_folder
from moai.models.released.convert import dequantize, from_reference
from moai.profiling.random_release import letters_tokenizer
from perception import Perception
from tests.conftest import example_image

FIXTURES = Path(__file__).parents[1] / "fixtures"
SIZES = json.loads((FIXTURES / "config.json").read_text())


@pytest.fixture(scope="module")
def weights():
    return load_file(FIXTURES / "reference_checkpoint.safetensors")


@pytest.fixture
def source(tmp_path, weights):
    """The parity checkpoint in two shards, with a tokenizer that fills its vocabulary."""
    folder = tmp_path / "source"
    names = sorted(weights)
    letters_tokenizer(128).save_pretrained(folder)
    for part in range(2):
        shard = {name: weights[name].contiguous() for name in names[part::2]}
        save_file(shard, folder / f"model-{part}.safetensors")
    return folder


def test_a_folder_becomes_an_assistant(source, tmp_path, weights):
    target = tmp_path / "target"
    (tmp_path / "sizes.json").write_text(json.dumps(SIZES))
    assert main(["convert", str(source), str(target), "--sizes", str(tmp_path / "sizes.json")]) == 0
    assert not list(target.glob("*.bin"))
    assistant = MoAI.from_pretrained(target, device="cpu", perception=Perception(experts="ocr"))
    processor = assistant.processor
    assert (processor.prompt_style, processor.legacy_color_map) == ("reference_demo", True)
    assert (processor.image_size, processor.num_image_tokens) == (490, 1225)
    assert assistant.model.config.image_token_id == 128 == processor.prefix_ids(with_image=True)[-1]
    assert processor.tokenizer.pad_token_id == assistant.model.generation_config.eos_token_id == 2
    expected = from_reference(weights, SIZES).state_dict()
    for name, value in assistant.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    answer = assistant.ask(example_image("street"), "What is this?", max_new_tokens=3)
    assert isinstance(answer.text, str) and [gate.layer for gate in answer.gates] == [8, 16]


def test_older_shards_and_half_precision(source, tmp_path, weights):
    for shard in source.glob("*.safetensors"):
        shard.unlink()
    torch.save({name: value.half() for name, value in weights.items()}, source / "pytorch_model.bin")
    convert_folder(source, tmp_path / "target", SIZES)
    written = load_file(tmp_path / "target" / "model.safetensors")
    assert {value.dtype for value in written.values()} == {torch.float16}


def test_a_small_tokenizer_gets_its_image_token_inside_the_vocabulary(source, tmp_path):
    letters_tokenizer(110).save_pretrained(source)
    convert_folder(source, tmp_path / "target", SIZES)
    assert json.loads((tmp_path / "target" / "config.json").read_text())["image_token_id"] == 110


def error_of(*arguments) -> str:
    with pytest.raises(ValueError) as caught:
        convert_folder(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_every_error_is_a_sentence(source, tmp_path, weights, capsys):
    target = tmp_path / "target"
    assert "there is no folder" in error_of(tmp_path / "nowhere", target, SIZES)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no weights" in error_of(empty, target, SIZES)
    assert "the sizes lack 'hidden_size'" in error_of(source, target, {"clip": SIZES["clip"], "vocab_size": 1})
    assert "the sizes cannot be used" in error_of(source, target, {"clip": 3})
    assert "other sizes than given: " in error_of(source, target, SIZES | {"intermediate_size": 80})
    letters_tokenizer(140).save_pretrained(source)
    assert "has 140 tokens, but the checkpoint's vocabulary is 128" in error_of(source, target, SIZES)
    bare = letters_tokenizer(128)
    bare.eos_token = None
    bare.save_pretrained(source)
    assert "no end-of-sequence token" in error_of(source, target, SIZES)
    letters_tokenizer(128).save_pretrained(source)
    shard = source / "model-1.safetensors"
    kept = shard.read_bytes()
    save_file({"something.else": torch.zeros(1)}, shard)
    assert "does not have the reference layout" in error_of(source, target, SIZES)
    shard.write_bytes(kept[:100])
    assert "model-1.safetensors cannot be read as a file of weights" in error_of(source, target, SIZES)
    shard.write_bytes(kept)
    for file in source.glob("tokenizer*"):
        file.unlink()
    assert "the tokenizer in" in error_of(source, target, SIZES)
    for broken in ("{", "missing"):
        path = tmp_path / "sizes.json"
        if broken == "missing":
            path.unlink()
        else:
            path.write_text(broken)
        assert main(["convert", str(source), str(target), "--sizes", str(path)]) == 2
        assert "sizes.json cannot be read as JSON" in capsys.readouterr().err
    assert not target.exists()


def test_a_pickle_that_is_more_than_tensors_is_refused(source, tmp_path):
    for shard in source.glob("*.safetensors"):
        shard.unlink()
    torch.save({"model": {"weight": torch.zeros(1)}}, source / "pytorch_model.bin")
    assert "is not a plain table of tensors" in error_of(source, tmp_path / "target", SIZES)
    torch.save({"weight": Path("/")}, source / "pytorch_model.bin")
    assert "cannot be read as a file of weights" in error_of(source, tmp_path / "target", SIZES)


QUANTIZED = "model.layers.0.attention.wqkv.Plora_A.weight"


def test_4_bit_weights_without_their_library(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes.functional", None)
    packed = weights | {f"{QUANTIZED}.quant_state.bitsandbytes__nf4": torch.zeros(4, dtype=torch.uint8)}
    with pytest.raises(ImportError, match="holds 4-bit weights; `pip install bitsandbytes`"):
        from_reference(packed, SIZES)


@pytest.mark.parametrize("double", [False, True])
def test_4_bit_weights(weights, double):
    functional = pytest.importorskip("bitsandbytes.functional")
    packed, expected = dict(weights), dict(weights)
    for name in [name for name in weights if "layers.0." in name and ("Plora_A" in name or "Plora_B" in name)]:
        values, state = functional.quantize_4bit(weights[name], quant_type="nf4", compress_statistics=double)
        packed[name] = values
        packed |= {f"{name}.{key}": value for key, value in state.as_dict(packed=True).items()}
        expected[name] = functional.dequantize_4bit(values, state)
    assert packed[QUANTIZED].dtype == torch.uint8
    assert 0 < (expected[QUANTIZED] - weights[QUANTIZED]).abs().max() < weights[QUANTIZED].abs().max() * 0.2
    plain = dequantize(packed)
    assert plain.keys() == weights.keys()
    model, reference = from_reference(packed, SIZES), from_reference(expected, SIZES)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, reference.state_dict()[key], msg=key)


def test_4_bit_weights_that_lie_apart(weights, source, tmp_path):
    functional = pytest.importorskip("bitsandbytes.functional")
    values, state = functional.quantize_4bit(weights[QUANTIZED], quant_type="nf4", compress_statistics=True)
    for file in source.glob("*.safetensors"):
        file.unlink()
    names = sorted(weights.keys() - {QUANTIZED})
    parts = [{name: weights[name] for name in names[part::3]} for part in range(3)]
    # The shard with the embeddings comes first, another has the statistics, the last the values.
    first = next(part for part in parts if "model.tok_embeddings.weight" in part)
    others = [part for part in parts if part is not first]
    first |= dict(
        list((told := {f"{QUANTIZED}.{key}": one for key, one in state.as_dict(packed=True).items()}).items())[:1]
    )
    others[0] |= {name: one for name, one in told.items() if name not in first}
    others[1][QUANTIZED] = values
    for number, part in enumerate((first, *others)):
        save_file({name: one.contiguous() for name, one in part.items()}, source / f"model-{number}.safetensors")
    convert_folder(source, tmp_path / "target", SIZES)
    written = {n: t for file in (tmp_path / "target").glob("*.safetensors") for n, t in load_file(file).items()}
    expected = from_reference(weights | {QUANTIZED: functional.dequantize_4bit(values, state)}, SIZES).state_dict()
    for name, value in written.items():
        torch.testing.assert_close(value, expected[name], msg=name)
    assert written.keys() == expected.keys()
