"""Tokenizer and the endless sources of training samples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from moai.data.drawn.examples import PATCH_CLASSES, patch_classes
from moai.data.drawn.questions.ask import template_words
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from moai.data.example import Example, Meta
from moai.data.rows import WINDOW_ANSWER, ImageRows, RowSizes, trimmed
from moai.data.splits import HELD_OUT_SEED, RELATION_VALIDATION
from moai.evaluation.drawn.by_kind import simulated_examples
from moai.models.modeling import IGNORED
from perception.registry import expert_names
from perception.verbalize import verbalize
from tests.data.drawn.samples import drawn_samples
from weights import NANO

SIZES = RowSizes(text=300, turn=48, aux=200, questions=3, text_rows=2)


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_can_be_written_and_read_back(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert tokenizer.decode(ids) == text
    assert tokenizer.unk_token_id not in ids


def test_scenes_in_words_come_back(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for example in itertools.islice(simulated_examples(20), 20):
        text = verbalize(example.scene).strip()
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.decode(ids) == text
        assert loaded.encode(text, add_special_tokens=False) == ids


def test_known_words_and_coordinates_are_whole_and_others_letters(tokenizer):
    assert tokenizer.tokenize(" dog") == ["Ġdog"]
    assert tokenizer.tokenize(" [0.25, 0.50, 0.75, 1.00] dog") == ["Ġ[0.25,", "Ġ0.50,", "Ġ0.75,", "Ġ1.00]", "Ġdog"]
    assert tokenizer.tokenize("Zqxv") == list("Zqxv")


def test_the_embedded_model_spells_words_of_questions_that_it_does_not_know():
    embedded = AutoTokenizer.from_pretrained(NANO)
    for word in template_words():
        ids = embedded.encode(f" {word}", add_special_tokens=False)
        assert embedded.decode(ids) == f" {word}" and embedded.unk_token_id not in ids


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_text_rows(processor, seed):
    sample = drawn_samples(processor, SIZES, pictures=False, experts=()).sample(seed)
    assert {name: values.shape for name, values in sample.items()} == dict.fromkeys(
        ("input_ids", "labels", "weights"), (2, 300)
    )
    assert sample["weights"].dtype == np.float32 and sample["labels"].dtype == np.int64
    real = sample["labels"] != IGNORED
    assert np.array_equal(sample["labels"][real], sample["input_ids"][real])
    assert not sample["weights"][~real].any()
    answers = real & (sample["weights"] > 0) & (sample["weights"] != np.float32(0.2))
    ends = sample["input_ids"][answers] == processor.tokenizer.eos_token_id
    assert ends.sum() >= 2
    # An answer of n tokens weighs root n as a whole.
    for row, weights, ids in zip(answers, sample["weights"], sample["input_ids"], strict=True):
        places, first = np.flatnonzero(row & (ids == processor.tokenizer.eos_token_id)), 0
        for place in places:
            own = [at for at in np.flatnonzero(row[: place + 1]) if at >= first]
            assert weights[own].sum() == pytest.approx(len(own) ** 0.5, rel=1e-4)
            first = place + 1


@pytest.mark.parametrize("experts", [expert_names(), ()])
def test_picture_rows(processor, experts):
    source = drawn_samples(processor, SIZES, experts=experts, windows=1, readings=1)
    prefix = len(processor.prefix_ids(with_image=True))
    expected = {
        "pixels": (3, 32, 32),
        "patch_labels": (64,),
        "input_ids": (3, prefix + 48),
        "labels": (3, prefix + 48),
        "weights": (3, prefix + 48),
        "prompt_mask": (3, prefix + 48),
    }
    if experts:
        expected |= {"aux_input_ids": (200,), "aux_attention_mask": (200,), "panoptic": (32, 32)}
    for seed in range(3):
        sample = source.sample(seed)
        assert {name: values.shape for name, values in sample.items()} == expected
        assert sample["pixels"].dtype == np.uint8
        # Every row is a prompt, then an answer with its end, then padding; the mixers see the prompt alone.
        for ids, labels, prompt in zip(sample["input_ids"], sample["labels"], sample["prompt_mask"], strict=True):
            shown, answer = int(prompt.sum()), int((labels != IGNORED).sum())
            assert prompt[:shown].all() and (labels[shown : shown + answer] != IGNORED).all()
            assert np.array_equal(ids[shown : shown + answer], labels[shown : shown + answer])
            assert answer <= WINDOW_ANSWER + 30 and (ids[shown + answer :] == processor.tokenizer.pad_token_id).all()
        assert (sample["patch_labels"] < len(PATCH_CLASSES)).all()


def test_words_alone(processor):
    sample = drawn_samples(processor, SIZES, pictures=False).sample(1)
    assert {name: values.shape for name, values in sample.items()} == {
        "aux_input_ids": (200,),
        "aux_attention_mask": (200,),
    }
    # Where the OCR expert alone speaks, it says nothing about a scene without text.
    reader = drawn_samples(processor, SIZES, pictures=False, experts=("ocr",))
    for seed in range(8):
        layout, sample = sample_layout(seed), reader.sample(seed)
        if not layout.signs:
            assert sample is None
        elif sample is not None:
            words = processor.tokenizer.decode(sample["aux_input_ids"][sample["aux_attention_mask"] > 0])
            assert "text" in words and "bounding" not in words
    rows = iter(reader)
    assert all(next(rows)["aux_attention_mask"].any() for _ in range(4))


def test_trimming_takes_padding_alone(processor):
    samples = [drawn_samples(processor, SIZES, windows=1, readings=1).sample(seed) for seed in (1, 2)]
    batch = trimmed(samples)
    for name in ("aux_input_ids", "aux_attention_mask", "input_ids", "labels", "weights", "prompt_mask"):
        values = batch[name]
        whole = np.stack([sample[name] for sample in samples])
        width = values.shape[-1]
        assert width < whole.shape[-1] and np.array_equal(values, whole[..., :width])
        fill = IGNORED if name == "labels" else processor.tokenizer.pad_token_id if "ids" in name else 0
        assert (whole[..., width:] == fill).all()
        lengths = batch["aux_attention_mask"] if "aux" in name else batch["labels"] != IGNORED
        assert lengths[..., -1].any()


def test_a_seed_gives_the_same_sample_again(processor):
    for form in ({"pictures": False, "experts": ()}, {"pictures": False}, {}):
        first, second = (drawn_samples(processor, SIZES, **form).sample(5) for _ in range(2))
        other = drawn_samples(processor, SIZES, **form).sample(6)
        assert all(np.array_equal(first[name], second[name]) for name in first)
        assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_held_out_seeds_are_refused(processor, monkeypatch):
    text = {"pictures": False, "experts": ()}
    samples = drawn_samples(processor, SIZES, HELD_OUT_SEED - 1, **text)
    rows = iter(samples)
    assert next(rows)
    with pytest.raises(ValueError, match=r"seed 1000000000: .* are held out for sample answers in training"):
        next(rows)
    with pytest.raises(ValueError, match="seed 5000000: 5000000 to 5999999 are held out for validation of the rel"):
        drawn_samples(processor, SIZES, RELATION_VALIDATION.start, **text)


def test_held_out_seeds_on_the_way_are_passed_over(processor):
    (source,) = drawn_samples(processor, SIZES, RELATION_VALIDATION.start - 1).source.sources
    assert [len(list(source.examples(position))) for position in (0, 1, 1_000_000, 1_000_001)] == [1, 0, 0, 1]


def test_patches_say_what_they_show(processor):
    layout = sample_layout(3)
    drawn = render(layout, scale=0.6)
    classes = patch_classes(layout, drawn)
    assert classes.shape == drawn.instances.shape
    for number, item in enumerate(layout.objects):
        assert (classes[drawn.instances == number] == PATCH_CLASSES.index(item.label)).all()
    for number, sign in enumerate(layout.signs):
        assert (classes[drawn.instances == -2 - number] == PATCH_CLASSES.index(f"{sign.colour} sign")).all()
    for number, stuff in enumerate(layout.stuff):
        shown = classes[(drawn.instances == -1) & (drawn.stuff == number)]
        assert (shown == (PATCH_CLASSES.index(stuff.label) if stuff.label in PATCH_CLASSES else IGNORED)).all()
    rows = ImageRows(processor)
    labels = rows.patch_labels(Example(meta=Meta(patch_classes=classes))).reshape(8, 8)
    height, width = classes.shape
    assert all(
        labels[r, c] == classes[int((r + 0.5) * height / 8), int((c + 0.5) * width / 8)]
        for r in range(8)
        for c in range(8)
    )
