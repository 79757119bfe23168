"""Prompts are many and none of the evaluation's; a plain model's answers are kept, and become rows of every sort."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from moai.data.instructions.answer import answers, main, whole_sentences
from moai.data.instructions.own import own_prompts
from moai.data.instructions.prompts import prompts
from moai.data.registry import build, rows_for
from moai.evaluation import photos
from moai.models.modeling import IGNORED

PAIRS = [("What is gravity?", "A force."), ("List three fruits.", "apple, pear, plum"), ("Hello!", "Hello there.")]


@pytest.fixture
def answered(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps({"prompt": prompt, "answer": said}) + "\n" for prompt, said in PAIRS))
    return path


def test_prompts_are_many_and_none_is_asked_in_the_evaluation():
    def letters(text):
        return re.sub("[^a-z0-9 ]", "", text.lower()).strip()

    general = json.loads((Path(photos.__file__).parent / "general.json").read_text())
    asked = {letters(one["question"]) for one in general}
    assert len(prompts()) > 1300 and len(set(prompts())) == len(prompts())
    assert not {one for one in prompts() if letters(one) in asked} and not any("{" in one for one in prompts())


def test_sentences_that_were_cut_off_are_left_out():
    assert whole_sentences("It is a dog. It has") == "It is a dog."
    assert whole_sentences("1. Eat well.\n2. Sleep.\n3. Do") == "1. Eat well.\n2. Sleep."
    assert whole_sentences("It has 2.5 kilometres to") == ""


def test_answers_are_the_models_own(tiny_language):
    model, processor = tiny_language
    asked = [f"Is there a {noun}?" for noun in ("cat", "dog and a small car", "tree")]
    told = dict(answers(model, processor, asked, batch=3, tokens=40))
    alone = dict(pair for one in asked for pair in answers(model, processor, [one], batch=1, tokens=40))
    assert told and told == alone and set(told) <= set(asked)


def test_the_model_makes_prompts_of_its_own(tiny_language):
    model, processor = tiny_language
    made = list(own_prompts(model, processor, 6, batch=512, tokens=40))
    assert 0 < len(made) <= 6 and len(set(made)) == len(made)
    assert made == list(own_prompts(model, processor, 6, batch=512, tokens=40))
    assert made != list(own_prompts(model, processor, 6, batch=512, tokens=40, seed=1))
    told = f'[{{"question": "{made[0].upper()}?!"}}]'
    assert made[0] not in list(own_prompts(model, processor, 6, batch=512, tokens=40, told=told))


@pytest.fixture
def tiny_language(processor):
    """A random language model over the embedded tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    size = len(processor.tokenizer)
    config = LlamaConfig(
        vocab_size=size, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        pad_token_id=processor.tokenizer.pad_token_id, eos_token_id=processor.tokenizer.eos_token_id,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval(), processor


def test_wrong_calls_and_files_are_one_sentence(tmp_path, answered, processor, capsys):
    assert main([str(tmp_path / "none"), str(tmp_path / "out.jsonl")]) == 1
    assert main(["none", str(answered), "--batch", "0"]) == 1
    said = capsys.readouterr().err
    assert said.count("error: ") == 2 and "Traceback" not in said
    for text, why in (
        ("", "holds no answers"),
        ('{"prompt": "a"}', "line 1"),
        ('{"prompt": "", "answer": "b"}', "text"),
    ):
        (tmp_path / "bad.jsonl").write_text(text)
        with pytest.raises(ValueError, match=why):
            build([{"name": "instructions", "file": str(tmp_path / "bad.jsonl")}], rows_for(processor))
    with pytest.raises(ValueError, match="cannot be read"):
        build([{"name": "instructions", "file": str(tmp_path / "gone.jsonl")}], rows_for(processor))
    with pytest.raises(ValueError, match="words alone"):
        build([{"name": "instructions", "file": str(answered)}], rows_for(processor, pictures=False))
    with pytest.raises(ValueError, match="leaves nothing"):
        build([{"name": "instructions", "file": str(answered), "hold_out": 3}], rows_for(processor))


def test_text_rows_have_neither_picture_nor_words(answered, processor):
    rows = rows_for(processor, pictures=False, experts=())
    samples = build([{"name": "instructions", "file": str(answered), "hold_out": 1}], rows)
    source, image = samples.source.sources[0], processor.image_token_id
    held = source.held_out(5)[0].turns
    examples = [one for position in range(6) for one in source.examples(position)]
    assert all(one.image is None and one.scene is None for one in examples)
    assert {bool(one.dialogue) for one in examples} == {True, False}
    assert not any(set(held) & set(one.turns) for one in examples)
    sample = samples.sample(0)
    assert (sample["labels"] != IGNORED).any() and not (sample["input_ids"] == image).any()
    assert (samples.sample(0)["input_ids"] == sample["input_ids"]).all()


def test_behind_a_picture_the_answers_are_the_same(answered, processor, tmp_path):
    from tests.data.photographs.conftest import RECORDS, write

    scene = {"width": 9, "height": 9, "detections": [{"label": "zebra", "box": [0, 0, 1, 1], "score": 0.9}]}
    folder = write(tmp_path / "seen", [one | {"scene": scene} for one in RECORDS])
    for settings in ({}, {"folder": str(folder)}):
        samples = build([{"name": "instructions", "file": str(answered), **settings}], rows_for(processor))
        one = next(iter(samples.source.examples(2)))
        assert set(one.turns) <= set(PAIRS) and one.scene is not None and np.asarray(one.image).ndim == 3
        assert samples.sample(2) is not None
    assert one.scene.detections[0].label == "zebra"
    bare = write(tmp_path / "bare", RECORDS)
    with pytest.raises(ValueError, match="has a scene"):
        build([{"name": "instructions", "file": str(answered), "folder": str(bare)}], rows_for(processor))
