"""Drafts: one prefill however many, the same on both paths, and greedy where nothing else was asked for."""

import pytest
import torch

from moai.inference.choosing import contrasted, next_step
from moai.inference.generation import FastGeneration
from moai.inference.strategies import draft
from moai.inference.strategies.contrast import Contrast
from moai.inference.strategies.fast import draft as fast_draft
from moai.inference.strategies.plain import Wording
from moai.inference.strategies.plain import draft as plain_draft
from moai.inference.strategies.weak import weakened
from tests.conftest import single
from tests.inference.strategies.test_contrast import mixtral, olmoe
from tests.inference.test_generation import GREEDY, talkative

NINE = Wording(9)


@pytest.fixture(scope="module")
def model():
    model = talkative()
    with torch.no_grad():  # mixers that are heard
        for parameter in model.mixers.parameters():
            parameter.mul_(8)
    return model


def on_both(model, inputs, wording, copies=1):
    fast = fast_draft(FastGeneration(model, compiled=False), model, inputs, wording, copies)
    plain = plain_draft(model, inputs, wording, copies)
    assert torch.equal(fast.ids, plain.ids) and torch.equal(fast.changed, plain.changed)
    torch.testing.assert_close(fast.logprobs, plain.logprobs, atol=1e-4, rtol=1e-4)
    return plain


def generated(model, inputs):
    return model.generate(**inputs, **GREEDY)[:, inputs["input_ids"].shape[1] :]


def test_a_draft_is_what_generate_says(model, inputs):
    for given in (inputs, single(inputs, 0), single(inputs, 1)):
        told = on_both(model, given, NINE)
        assert torch.equal(told.ids, generated(model, given)) and not told.changed.any()


@pytest.mark.parametrize("weak", ["no-aux", "second", "uniform", "backbone"])
def test_contrast_is_the_same_on_both_paths(model, inputs, weak):
    wording = Wording(9, contrast=Contrast(weak, 2.0, 1e-6))
    told = on_both(model, inputs, wording)
    assert told.changed.any() and not torch.equal(told.ids, generated(model, inputs))
    for row in range(2):  # rows of a batch are as alone
        assert torch.equal(
            on_both(model, single(inputs, row), Wording(9, contrast=Contrast(weak, 2.0, 1e-6))).ids[0], told.ids[row]
        )


@pytest.mark.parametrize("contrast", [Contrast(strength=0.0, plausible=0.01), Contrast("second", 1.0, 1.0)])
def test_contrast_that_changes_nothing(model, inputs, contrast):
    told = on_both(model, inputs, Wording(9, contrast=contrast))
    assert torch.equal(told.ids, generated(model, inputs)) and not told.changed.any()


def test_contrast_with_a_random_routing_follows_the_seed(model, inputs):
    wording = Wording(9, seed=3, contrast=Contrast("random", 2.0, 0.01))
    assert torch.equal(on_both(model, inputs, wording).ids, on_both(model, inputs, wording).ids)


def test_the_prompt_is_read_once(model, inputs):
    passes = []
    handle = model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: passes.append(kwargs["inputs_embeds"].shape[:2]), with_kwargs=True
    )
    told = plain_draft(model, single(inputs, 0), Wording(4, temperature=2.0, seed=1), copies=6)
    handle.remove()
    assert told.ids.shape == (6, 4) and [rows for rows, width in passes] == [1, 6, 6, 6]


def test_copied_rows_are_prompts_read_again(model, inputs):
    given, wording = single(inputs, 0), Wording(6, temperature=1.5, seed=3)
    told = plain_draft(model, given, wording, copies=6)
    read = plain_draft(model, {name: value.repeat_interleave(6, dim=0) for name, value in given.items()}, wording)
    assert torch.equal(told.ids, read.ids) and len({tuple(row.tolist()) for row in read.ids}) > 1
    torch.testing.assert_close(told.logprobs, read.logprobs, atol=5e-6, rtol=5e-6)


def test_drafts_follow_the_seed(model, inputs):
    hot = Wording(9, temperature=1.5, seed=5)
    for speak in (plain_draft, lambda *given: fast_draft(FastGeneration(model, compiled=False), *given)):
        first = speak(model, inputs, hot, 6)
        torch.rand(7)  # what others draw meanwhile
        assert torch.equal(speak(model, inputs, hot, 6).ids, first.ids)
        other = speak(model, inputs, Wording(9, temperature=1.5, seed=6), 6)
        assert not torch.equal(other.ids, first.ids)
        assert len({tuple(ids.tolist()) for ids in first.ids[:6]}) > 1
        cold = speak(model, inputs, Wording(9, temperature=1e-3, seed=5), 6)
        assert torch.equal(cold.ids, generated(model, inputs).repeat_interleave(6, dim=0))


def test_log_probabilities_are_the_models_own(model, inputs):
    given = single(inputs, 0)
    told = on_both(model, given, Wording(5, temperature=1.5, seed=2))
    with torch.no_grad():
        whole = dict(given) | {
            "input_ids": torch.cat((given["input_ids"], told.ids), dim=1),
            "attention_mask": torch.nn.functional.pad(given["attention_mask"], (0, 5), value=1),
        }
        prompt_mask = torch.nn.functional.pad(given["attention_mask"], (0, 5))
        logits = model(**whole, prompt_mask=prompt_mask).logits[:, -6:-1].log_softmax(-1)
    torch.testing.assert_close(logits.gather(2, told.ids[..., None]).mean(), told.logprobs[0], atol=1e-4, rtol=1e-4)


def test_a_row_ends_where_it_ends(model, inputs):
    free = on_both(model, inputs, NINE).ids
    end = int(free[0, 2])
    told = on_both(model, inputs, Wording(9, ends=(end,), pad=63))
    places = [(row == end).nonzero()[0].item() + 1 if (row == end).any() else 9 for row in free]
    assert told.ids.shape[1] == max(places)
    for row, place in zip(told.ids, places, strict=True):
        assert (row[place:] == 63).all()
    assert torch.equal(told.ids[0, : places[0]], free[0, : places[0]])


def test_whoever_listens_may_stop_it(model, inputs):
    told = plain_draft(model, inputs, NINE, 2, stopped=lambda ids: torch.full((4,), ids.shape[1] >= 3))
    fast = fast_draft(
        FastGeneration(model, compiled=False), model, inputs, NINE, 2, lambda ids: torch.full((4,), ids.shape[1] >= 3)
    )
    assert told.ids.shape == fast.ids.shape == (4, 3)


@pytest.mark.parametrize("make", [mixtral, olmoe])
def test_any_sparse_model_of_transformers(make):
    model = make()
    inputs = {"input_ids": torch.arange(3, 9)[None].repeat(2, 1), "attention_mask": torch.ones(2, 6, dtype=torch.long)}
    inputs["attention_mask"][0, :2] = 0
    plain = model.generate(**inputs, **GREEDY, pad_token_id=0)[:, 6:]
    assert torch.equal(draft(model, inputs, NINE).ids, plain)
    told = draft(model, inputs, Wording(9, contrast=Contrast("rank2", 1.0, 0.01)))
    assert told.changed.any()
    # By two passes over the whole text for each token, as the paper's own code does.
    for row in range(2):
        kept = inputs["attention_mask"][row].bool()
        ids = inputs["input_ids"][row][kept]
        for token in told.ids[row]:
            assert token == by_two_passes(model, ids, Contrast("rank2", 1.0, 0.01))
            ids = torch.cat((ids, token[None]))


def test_a_weak_side_that_is_as_strong_changes_nothing():
    model, inputs = mixtral(top_k=1), {"input_ids": torch.arange(3, 9)[None]}
    told = draft(model, inputs, Wording(9, contrast=Contrast("rank1", 2.0, 1e-6)))
    assert torch.equal(told.ids, draft(model, inputs, NINE).ids) and not told.changed.any()


def test_contrast_may_end_an_answer(model, inputs):
    against = Contrast("second", 2.0, 1e-6)
    free = plain_draft(model, single(inputs, 0), Wording(9, contrast=against)).ids[0].tolist()
    ended = on_both(model, single(inputs, 0), Wording(9, ends=(free[3],), contrast=against)).ids[0].tolist()
    assert ended == free[: free.index(free[3]) + 1]


def test_draws_of_a_contrast_are_as_its_scores_say():
    strong, weak = torch.tensor([[1.0, 0.5, 0.2]]), torch.tensor([[0.0, 1.0, 0.2]])
    generator, temperature = torch.Generator().manual_seed(0), torch.tensor(0.8)
    rows = [one.expand(20_000, -1) for one in (strong, weak)]
    drawn = next_step(*rows, 0.5, 0.01, temperature, torch.tensor(1.0), generator).tokens
    shares = (contrasted(strong, weak, 0.5, 0.01)[0] / temperature).softmax(-1)
    torch.testing.assert_close(drawn.bincount(minlength=3) / 20_000, shares, atol=0.015, rtol=0)


def by_two_passes(model, ids, contrast):
    with torch.no_grad():
        strong = model(ids[None]).logits[:, -1]
        with weakened(model, contrast.weak):
            weak = model(ids[None]).logits[:, -1]
    return contrasted(strong, weak, contrast.strength, contrast.plausible).argmax()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_captured_steps_draft_and_contrast_as_the_plain_path(model, inputs):
    model = talkative().to("cuda")
    inputs = {name: value.to("cuda") for name, value in inputs.items()}
    engine = FastGeneration(model)
    for wording in (NINE, Wording(9, contrast=Contrast("no-aux", 2.0, 1e-6)), Wording(9, contrast=Contrast("second"))):
        assert torch.equal(fast_draft(engine, model, inputs, wording).ids, plain_draft(model, inputs, wording).ids)
    hot = Wording(9, temperature=1.5, seed=5)
    first = fast_draft(engine, model, single(inputs, 0), hot, 6)
    assert torch.equal(fast_draft(engine, model, single(inputs, 0), hot, 6).ids, first.ids)
    other = fast_draft(engine, model, single(inputs, 0), Wording(9, temperature=1.5, seed=6), 6)
    assert not torch.equal(other.ids, first.ids) and len({tuple(row.tolist()) for row in first.ids}) > 1
