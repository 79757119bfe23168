"""What users of transformers expect of a model's forward pass and its `generate`."""

import pytest
import torch
from transformers import LlamaForCausalLM

from moai.inference import generate
from moai.models.modeling import MoAIForConditionalGeneration
from tests.conftest import opened, single, tiny_config

GREEDY = {"max_new_tokens": 7, "do_sample": False, "eos_token_id": None}
PER_PICTURE = ("pixel_values", "panoptic_pixel_values", "aux_input_ids", "aux_attention_mask")


@pytest.fixture
def mixed(inputs):
    """Three rows: of text alone, the first of `inputs`, of text alone."""
    words = torch.tensor([5, 6, 7, 8, 9])
    width = inputs["input_ids"].shape[1]
    text = torch.nn.functional.pad(words, (width - len(words), 0))
    real = torch.nn.functional.pad(torch.ones_like(words), (width - len(words), 0))
    first = single(inputs, 0)
    return first | {
        "input_ids": torch.stack((text, inputs["input_ids"][0], text)),
        "attention_mask": torch.stack((real, inputs["attention_mask"][0], real)),
    }


@torch.no_grad()
def test_states_and_attentions_come_when_asked(model, inputs):
    plain = model(**inputs)
    assert plain.hidden_states is None and plain.attentions is None
    rows, width = inputs["input_ids"].shape
    model.set_attn_implementation("eager")
    asked = model(**inputs, output_hidden_states=True, output_attentions=True)
    assert [states.shape for states in asked.hidden_states] == [(rows, width, 32)] * 4
    assert [shares.shape for shares in asked.attentions] == [(rows, 4, width, width)] * 3
    torch.testing.assert_close(model.lm_head(asked.hidden_states[-1]), asked.logits)
    loss, logits = model(**inputs, labels=inputs["input_ids"], return_dict=False)[:2]
    assert loss.ndim == 0 and logits.shape == plain.logits.shape
    model.config.output_hidden_states = True
    assert len(model(**inputs).hidden_states) == 4
    # What transformers hangs on the layers to collect them does not end the fast path.
    generate(model, **inputs, **GREEDY, fast=True)


@torch.no_grad()
def attends_alike(model, inputs, implementation: str) -> None:
    expected = model(**inputs).logits[:, -1]
    model.set_attn_implementation(implementation)
    assert model.language_model.config._attn_implementation == implementation
    torch.testing.assert_close(model(**inputs).logits[:, -1], expected, atol=1e-3, rtol=0)


def test_eager_attention(model, inputs):
    attends_alike(model, inputs, "eager")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_flex_attention(inputs):  # on the CPU it takes a minute to compile
    torch.manual_seed(0)
    text = tiny_config().text_config
    text.update({"hidden_size": 64, "head_dim": 16})
    model = opened(MoAIForConditionalGeneration(tiny_config(text_config=text))).eval().to("cuda")
    # Below 128 tokens torch takes another kernel, which has no room for two heads of queries on one of keys.
    words = torch.arange(64).expand(2, -1) % 40 + 5
    inputs["input_ids"] = torch.cat((inputs["input_ids"], words), dim=1)
    inputs["attention_mask"] = torch.nn.functional.pad(inputs["attention_mask"], (0, 64), value=1)
    assert inputs["input_ids"].shape[1] >= 128
    attends_alike(model, {name: value.to("cuda") for name, value in inputs.items()}, "flex_attention")


@torch.no_grad()
def test_embeddings_in_place_of_ids(model, inputs):
    words = model.get_input_embeddings()
    ids = inputs.pop("input_ids")
    by_ids = model(input_ids=ids, **inputs).logits
    assert torch.equal(model(inputs_embeds=words(ids), **inputs).logits, by_ids)
    said = model.generate(input_ids=ids, **inputs, **GREEDY)[:, -7:]
    assert torch.equal(model.generate(inputs_embeds=words(ids), **inputs, **GREEDY), said)
    for given in ({}, {"input_ids": ids, "inputs_embeds": words(ids)}):
        with pytest.raises(ValueError, match="exactly one of them"):
            model(**given, **inputs)


def test_an_image_token_outside_the_table_takes_no_picture_with_embeddings(inputs):
    model = MoAIForConditionalGeneration(tiny_config(image_token_id=64)).eval()
    embeds = model.get_input_embeddings()(inputs.pop("input_ids"))
    with pytest.raises(ValueError, match=r"exactly 64 image tokens.*\[0, 0\]"):
        model(inputs_embeds=embeds, **inputs)


@torch.no_grad()
def test_rows_without_a_picture_are_as_they_are_alone(model, inputs, mixed):
    logits = model(**mixed).logits
    alone = model(**single(inputs, 0)).logits
    torch.testing.assert_close(logits[1:2, -alone.shape[1] :], alone, atol=1e-4, rtol=0)
    text = model(input_ids=mixed["input_ids"][:1, -5:]).logits
    for row in (0, 2):
        torch.testing.assert_close(logits[row, -5:], text[0], atol=1e-4, rtol=0)
    said = model.generate(**mixed, **GREEDY)
    assert torch.equal(said[:1, -7:], model.generate(input_ids=mixed["input_ids"][:1, -5:], **GREEDY)[:, -7:])
    assert torch.equal(said[1:2, -7:], model.generate(**single(inputs, 0), **GREEDY)[:, -7:])
    assert torch.equal(generate(model, **mixed, **GREEDY, fast=True), said)
    beams = {**GREEDY, "num_beams": 2}
    assert torch.equal(model.generate(**mixed, **beams)[0, -7:], model.generate(**mixed, **beams)[2, -7:])


def test_rows_without_a_picture_train(model, mixed):
    labels = mixed["input_ids"].masked_fill(mixed["input_ids"] < 4, -100)
    labels[:, :-2] = -100
    model(**mixed, labels=labels).loss.backward()
    gradients = [parameter.grad for parameter in model.mixers.parameters() if parameter.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)


def test_pictures_and_rows_must_match(model, inputs, mixed):
    with pytest.raises(ValueError, match=r"each row needs exactly 64 image tokens.*\[0, 64, 0\]"):
        model(**mixed | {"pixel_values": mixed["pixel_values"].repeat(3, 1, 1, 1)})
    with pytest.raises(ValueError, match=r"2 of the 3 rows need exactly 64 image tokens.*\[0, 64, 0\]"):
        model(**mixed | {"pixel_values": mixed["pixel_values"].repeat(2, 1, 1, 1)})
    with pytest.raises(ValueError, match="experts speak of 1 pictures, but there are 2 pictures"):
        model(**inputs | {name: inputs[name][:1] for name in PER_PICTURE[1:]})


@torch.no_grad()
def test_assistants_change_no_word(inputs):
    torch.manual_seed(2)
    text = tiny_config().text_config
    text.tie_word_embeddings = False
    model = opened(MoAIForConditionalGeneration(tiny_config(text_config=text, tie_word_embeddings=False))).eval()
    torch.nn.init.normal_(model.language_model.embed_tokens.weight)
    one = single(inputs, 0)
    said = model.generate(**one, **GREEDY)
    assert len(set(said[0, -7:].tolist())) > 2
    assistant = LlamaForCausalLM(text).eval()
    assert torch.equal(model.generate(**one, **GREEDY, assistant_model=assistant), said)
    assert torch.equal(model.generate(**one, **GREEDY, assistant_model=model), said)
    assert torch.equal(model.generate(**one, **GREEDY, prompt_lookup_num_tokens=2), said)
