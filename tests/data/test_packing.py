"""Several questions in one row are what they are in rows of their own."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moai.data.drawn.examples import PATCH_CLASSES
from moai.data.example import Example
from moai.data.rows import ImageRows, RowSizes
from moai.models.inputs.packing import turn_mask, turn_positions
from moai.models.modeling import IGNORED, MoAIForConditionalGeneration
from moai.training.experiment import load_experiment
from moai.training.objective import MoAIObjective
from tests.conftest import IMAGE_TOKEN
from tests.data.drawn.samples import drawn_samples

SIZES = RowSizes(turn=48, packed=160, aux=64, questions=4)


@given(st.integers(1, 5), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_masks_and_positions(shared, lengths, padding):
    turns = [0] * shared + [n for n, length in enumerate(lengths, 1) for _ in range(length)] + [-1] * padding
    mask = turn_mask(torch.tensor([turns]))[0, 0]
    positions = turn_positions(torch.tensor([turns]))[0].tolist()
    for query, turn in enumerate(turns):
        seen = [key for key in range(query + 1) if turns[key] in (0, turn)]
        assert mask[query].nonzero().flatten().tolist() == seen
        assert positions[query] == len(seen) - 1


def both(processor, seed, **kwargs):
    """A packed sample as a batch of one, and the same turns in rows of their own, in which they are turn 1."""
    sample = drawn_samples(processor, SIZES, packed=True, **kwargs).sample(seed)
    packed = {name: torch.from_numpy(values)[None] for name, values in sample.items()}
    turns, prefix = packed["turn_ids"][0], int((packed["turn_ids"] == 0).sum())
    rows = {"input_ids": [], "labels": [], "weights": [], "prompt_mask": [], "turn_ids": []}
    for turn in range(1, int(turns.max()) + 1):
        for name, values in rows.items():
            fill = {"labels": IGNORED, "turn_ids": -1}.get(name, 0)
            own = packed[name][0][turns == turn]
            own = own.clamp(max=1) if name == "turn_ids" else own
            own = torch.nn.functional.pad(own, (0, 48 - len(own)), value=fill)
            values.append(torch.cat((packed[name][0][:prefix], own)))
    return packed, packed | {name: torch.stack(values)[None] for name, values in rows.items()}


def test_the_backbone_answers_each_as_if_alone(model_folder, processor):
    model = MoAIForConditionalGeneration.from_pretrained(model_folder)
    objective = MoAIObjective(model, processor, load_experiment("backbone"), PATCH_CLASSES).eval()
    packed, single = both(processor, 3, experts=())
    assert single["input_ids"].shape[1] > 2
    del single["turn_ids"]  # as the rows of other stages are
    together, alone = objective(**packed), objective(**single)
    torch.testing.assert_close(together["answers"], alone["answers"], atol=1e-5, rtol=1e-5)


def test_other_questions_do_not_matter_to_the_mixers(model_folder, processor):
    model = MoAIForConditionalGeneration.from_pretrained(model_folder)
    objective = MoAIObjective(model, processor, load_experiment("bridge"), PATCH_CLASSES).eval()
    packed, single = both(processor, 3, windows=1, readings=1)
    assert single["input_ids"].shape[1] > 2
    together, alone = objective(**packed), objective(**single)
    torch.testing.assert_close(together["answers"], alone["answers"], atol=1e-5, rtol=1e-5)
    other = objective(**(packed | {"aux_input_ids": packed["aux_input_ids"].clamp(max=9)}))
    assert not torch.allclose(together["answers"], other["answers"])


def test_questions_of_a_row_know_nothing_of_each_other(model, inputs):
    """With a picture, changing one turn changes no logit of another, nor do image tokens see any of them."""
    picture = [IMAGE_TOKEN] * model.config.num_image_tokens
    shared = [5, 6, *picture]
    turns = torch.tensor([[0] * len(shared) + [1] * 4 + [2] * 3])
    ids = torch.tensor([[*shared, 11, 12, 13, 14, 21, 22, 23]])
    prompt = torch.tensor([[1] * len(shared) + [1, 1, 0, 0] + [1, 1, 0]])
    pictures = {name: values[:1] for name, values in inputs.items() if name not in ("input_ids", "attention_mask")}

    def logits(ids):
        with torch.no_grad():
            return model(
                input_ids=ids,
                attention_mask=turn_mask(turns),
                position_ids=turn_positions(turns),
                prompt_mask=prompt,
                turn_ids=turns,
                **pictures,
            ).logits

    plain = logits(ids)
    for place in range(len(shared), ids.shape[1]):
        other = ids.clone()
        other[0, place] = 31
        changed = (logits(other) - plain).abs().amax(dim=(0, 2)) > 1e-6
        assert changed[place:].any() and turns[0, changed].unique().tolist() == [int(turns[0, place])]


def test_text_without_a_picture_is_answered_as_the_decoder_alone_does(model_folder, processor):
    model = MoAIForConditionalGeneration.from_pretrained(model_folder).eval()
    objective = MoAIObjective(model, processor, load_experiment("bridge"), PATCH_CLASSES).eval()
    said = [("Who are you?", "A dog"), ("What is two and two?", "Four, I think")]
    rows = ImageRows(processor, SIZES, packed=True, windows=1)
    sample = rows.sample([Example(turns=said)], np.random.default_rng(0))
    batch = {name: torch.from_numpy(values)[None] for name, values in sample.items()}
    drawn = drawn_samples(processor, SIZES, packed=True, windows=1, readings=1).sample(3)
    assert {name: (one.shape, one.dtype) for name, one in sample.items()} == {
        name: (one.shape, one.dtype) for name, one in drawn.items()
    }
    expected, weight = 0.0, 0.0
    for asked, answer in said:
        prompt = processor.conversation_ids([{"role": "user", "content": asked}], False)
        ids = torch.tensor([[*prompt, *processor.answer_ids(answer)]])
        count = ids.shape[1] - len(prompt)
        scores = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        expected -= scores.gather(1, ids[0, len(prompt) :, None]).sum() * count**-0.5
        weight += count**0.5
    torch.testing.assert_close(objective(**batch)["answers"], (expected / weight).detach(), atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="needs a picture"):
        ImageRows(processor, SIZES).sample([Example(turns=said)], np.random.default_rng(0))
