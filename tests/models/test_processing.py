"""Conversations about pictures -> model inputs."""

import copy
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor

from moai.models.inputs.image_processing import PIXEL_MEAN, PIXEL_STD, normalize_pixels
from moai.models.processing import MoAIProcessor, pad
from moai.models.prompts import PROMPT_STYLES, SYSTEM
from perception.scene import Scene
from perception.verbalize import verbalize

PICTURE = np.full((20, 30, 3), 200, dtype=np.uint8)


def user(text):
    return {"role": "user", "content": text}


def test_a_picture_becomes_as_many_tokens_as_it_has_patches(processor):
    inputs = processor([[user("What is this?")]], pictures=[PICTURE])
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    assert (inputs["input_ids"] == image).sum() == 64
    places = (inputs["input_ids"][0] == image).nonzero().flatten()
    assert (places.diff() == 1).all()
    assert processor.tokenizer.decode(inputs["input_ids"][0, : places[0]]) == SYSTEM
    assert processor.tokenizer.decode(inputs["input_ids"][0, places[-1] + 1 :]) == " USER: What is this? ASSISTANT:"
    assert set(inputs) == {"input_ids", "attention_mask", "pixel_values"}


def test_prompts_are_padded_left_and_words_right(processor, scene):
    short, long = [user("Why?")], [user("How many dogs are in the picture, and why?")]
    inputs = processor([short, long], scenes=[Scene(9, 9), scene], pictures=[PICTURE] * 2)
    missing = int((inputs["attention_mask"][0] == 0).sum())
    assert missing > 0
    assert (inputs["input_ids"][0, :missing] == processor.tokenizer.pad_token_id).all()
    assert inputs["attention_mask"][0, missing:].all() and inputs["attention_mask"][1].all()
    alone = processor([short], pictures=[PICTURE])["input_ids"][0]
    assert torch.equal(inputs["input_ids"][0, missing:], alone)
    assert not inputs["aux_attention_mask"][0].any() and inputs["aux_attention_mask"][1].all()
    assert processor.tokenizer.decode(inputs["aux_input_ids"][1]) == verbalize(scene).strip()
    assert inputs["panoptic_pixel_values"].shape == inputs["pixel_values"].shape == (2, 3, 32, 32)


def test_chat_turns(processor):
    messages = [user("What?"), {"role": "assistant", "content": "A dog"}, user("Where?")]
    ids = processor.conversation_ids(messages, with_image=False)
    assert processor.tokenizer.decode(ids) == f"{SYSTEM} USER: What? ASSISTANT: A dog</s> USER: Where? ASSISTANT:"
    assert ids.count(processor.tokenizer.eos_token_id) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["<image>", "</s>", "<pad>", "<unk>", "{}", "a", " ", "é", "\n", "7"]), max_size=8))
def test_special_tokens_of_a_user_are_letters(tokenizer, pieces):
    processor, text = MoAIProcessor(tokenizer, 32, 64), "".join(pieces)
    ids = processor.conversation_ids([user(text)], with_image=True)
    assert ids.count(tokenizer.convert_tokens_to_ids("<image>")) == 64
    assert not {tokenizer.eos_token_id, tokenizer.pad_token_id} & set(ids)
    assert tokenizer.decode(processor.question_ids(text)) == f" USER: {text} ASSISTANT:"


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([], "must end with a message of the user"),
        ([user("a"), {"role": "assistant", "content": "b"}], "must end with a message of the user"),
        (
            [{"role": "tool", "content": "a"}, user("b")],
            "unknown role 'tool'; allowed are system and user and assistant",
        ),
        ([{"role": "system", "content": "a"}], "must end with a message of the user"),
        ([{"content": "a"}], "must end with a message of the user"),
        ([{"role": "user"}], "each message needs a role and a content"),
        ([user(["a"])], "each message needs a role and a content"),
        (["a"], "each message needs a role and a content"),
    ],
)
def test_bad_conversations(processor, messages, sentence):
    with pytest.raises(ValueError, match=sentence):
        processor.conversation_ids(messages, with_image=True)


def test_unequal_numbers(processor, scene):
    with pytest.raises(ValueError, match="got 1 conversations but 2 pictures"):
        processor([[user("a")]], pictures=[PICTURE] * 2)
    with pytest.raises(ValueError, match="got 2 conversations but 1 scenes"):
        processor([[user("a")]] * 2, pictures=[PICTURE] * 2, scenes=[scene])


def test_experts_left_out(processor, scene):
    given = {"pictures": [PICTURE], "scenes": [scene]}
    whole = processor([[user("a")]], **given)
    silent = processor([[user("a")]], **given, experts=())
    assert silent["aux_input_ids"].shape == silent["aux_attention_mask"].shape == (1, 0)
    blank = normalize_pixels(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    torch.testing.assert_close(silent["panoptic_pixel_values"], blank)
    read = processor([[user("a")]], **given, experts=("ocr",))
    assert processor.tokenizer.decode(read["aux_input_ids"][0]) == "The image includes text descriptions: OPEN 24."
    assert not torch.equal(whole["panoptic_pixel_values"], blank)


def test_colour_maps_the_right_way_and_the_old_way(tokenizer, scene):
    mean, std = (torch.tensor(values)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
    maps = {}
    for legacy in (False, True):
        processor = MoAIProcessor(tokenizer, 32, 64, legacy_color_map=legacy)
        inputs = processor([[user("a")]], pictures=[PICTURE], scenes=[scene])
        maps[legacy] = inputs["panoptic_pixel_values"][0]
        # Pictures are never treated the old way.
        torch.testing.assert_close(inputs["pixel_values"][0], ((200 / 255 - mean) / std).expand(3, 32, 32))
    shares = maps[False] * std + mean
    assert shares.min() >= -1e-6 and 0.2 < shares.max() <= 1 + 1e-6
    torch.testing.assert_close(maps[True], (shares - mean * 255) / (std * 255))
    assert maps[True].std(dim=(1, 2)).max() < 0.01 < maps[False].std(dim=(1, 2)).max()


def test_pictures_of_any_kind_are_resized(processor):
    for picture in (PICTURE, Image.fromarray(PICTURE), Image.fromarray(PICTURE).convert("L")):
        values = processor([[user("a")]], pictures=[picture])["pixel_values"]
        assert values.shape == (1, 3, 32, 32) and values.dtype == torch.float32
        torch.testing.assert_close(values[0, :, 0, 0], (200 / 255 - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_STD))


def test_saving_and_loading(tokenizer, model_folder, scene, tmp_path):
    given = MoAIProcessor(tokenizer, 48, 36, prompt_style="reference_demo", legacy_color_map=True)
    given.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((model_folder / "config.json").read_bytes())
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded, MoAIProcessor)
    for name in ("image_size", "num_image_tokens", "image_token", "prompt_style", "legacy_color_map"):
        assert getattr(loaded, name) == getattr(given, name)
    arguments = dict(messages=[[user("<image> {} 0.25, é?")]], pictures=[PICTURE], scenes=[scene])
    before, after = given(**arguments), loaded(**arguments)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_prompt_styles(tokenizer):
    with pytest.raises(ValueError, match="unknown prompt style 'fancy'; allowed are plain, reference_demo"):
        MoAIProcessor(tokenizer, prompt_style="fancy")
    assert PROMPT_STYLES["reference_demo"].stop == "[U"


def test_the_authors_prompts_begin_as_their_tokenizer_began_every_text(tokenizer, scene):
    # <s>SYSTEM <image> USER: ...; the scene's words are a text of their own.
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.bos_token = "<s>"
    theirs = MoAIProcessor(tokenizer, 32, 64, prompt_style="reference_demo")
    ours = MoAIProcessor(tokenizer, 32, 64)
    begin, image = tokenizer.bos_token_id, tokenizer.convert_tokens_to_ids("<image>")
    assert theirs.prefix_ids(True) == [begin, *ours.encode_text(f"{SYSTEM} "), *[image] * 64]
    assert theirs.question_ids("Why?") == ours.question_ids("Why?")
    assert theirs.aux_ids(scene) == [begin, *ours.aux_ids(scene)]


def test_padding_of_rows():
    ids, mask = pad([[1, 2], [], [3]], 9, left=True)
    assert ids.tolist() == [[1, 2], [9, 9], [9, 3]] and mask.tolist() == [[1, 1], [0, 0], [0, 1]]
    ids, mask = pad([[1], []], 9, left=False, width=2)
    assert ids.tolist() == [[1, 9], [9, 9]] and mask.tolist() == [[1, 0], [0, 0]]
    assert pad([], 0, left=True)[0].shape == (0, 0)


@pytest.mark.parametrize(
    "names", [("image_size", "num_image_tokens", "image_token"), ("picture_size", "picture_tokens", "picture_token")]
)
def test_folders_without_an_image_processor_are_read(processor, tmp_path, names):
    """Folders of earlier versions; those of version 0.1 had other names."""
    processor.save_pretrained(tmp_path)
    settings = dict(zip(names, (32, 64, "<image>"), strict=True)) | {"prompt_style": "plain", "legacy_color_map": True}
    (tmp_path / "processor_config.json").write_text(json.dumps(settings | {"processor_class": "MoAIProcessor"}))
    (tmp_path / "chat_template.jinja").unlink()
    read = MoAIProcessor.from_pretrained(tmp_path)
    assert read.legacy_color_map and read.chat_template == processor.chat_template
    assert (read.image_size, read.num_image_tokens, read.image_token) == (32, 64, "<image>")
