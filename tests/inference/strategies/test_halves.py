"""Drafts that do not fit into memory at once are asked in parts, and say the same."""

from dataclasses import replace

import pytest
import torch

from moai.inference.generation import FastGeneration
from moai.inference.strategies import draft
from moai.inference.strategies.contrast import Contrast
from moai.inference.strategies.fast import draft as fast_draft
from moai.inference.strategies.halves import in_halves
from moai.inference.strategies.plain import Wording
from moai.inference.strategies.plain import draft as plain_draft
from tests.conftest import single
from tests.inference.strategies.test_contrast import mixtral
from tests.inference.test_generation import talkative

HOT = Wording(7, ends=(5, 9), temperature=1.5, seed=5)


@pytest.fixture(scope="module")
def model():
    return talkative()


@pytest.fixture
def small(model):
    """Sets how many rows fit; lists those of the passes that did."""
    passes = []
    fits = [0]

    def check(module, args, kwargs):
        rows = len(kwargs["inputs_embeds"])
        if rows > fits[0]:
            raise torch.OutOfMemoryError(f"CUDA out of memory: {rows} rows")
        passes.append(rows)

    handle = model.language_model.register_forward_pre_hook(check, with_kwargs=True)
    yield fits, passes
    handle.remove()


@pytest.mark.parametrize("wording", [HOT, replace(HOT, contrast=Contrast("second", 1.0, 0.01))])
def test_halves_say_what_the_whole_says(model, inputs, small, wording):
    fits, passes = small
    wide = 1 if wording.contrast is None else 2
    fits[0] = 99
    whole = draft(model, inputs, wording, 5)
    for rows in (6, 4, 2):  # three copies of two prompts, then fewer
        passes.clear()
        fits[0] = rows * wide
        told = draft(model, inputs, wording, 5)
        assert torch.equal(told.ids, whole.ids) and torch.equal(told.changed, whole.changed)
        torch.testing.assert_close(told.logprobs, whole.logprobs, atol=1e-4, rtol=1e-4)
        assert max(passes) <= rows * wide
    assert len({tuple(row.tolist()) for row in whole.ids}) > 5


def test_prompts_are_parted_too_and_one_that_does_not_fit_is_told(model, inputs, small):
    fits, _ = small
    fits[0] = 99
    whole = draft(model, inputs, HOT, 2)
    fits[0] = 1
    with pytest.raises(torch.OutOfMemoryError, match="2 rows"):  # the record of one batch
        draft(model, inputs | {"gates": None}, HOT, 2)
    assert torch.equal(draft(model, inputs, HOT, 2).ids, whole.ids)
    fits[0] = 0
    with pytest.raises(torch.OutOfMemoryError, match="1 rows"):
        draft(model, single(inputs, 0), HOT, 2)


def test_parts_without_a_seed_are_not_copies_of_each_other(model, inputs, small):
    small[0][0] = 3
    told = draft(model, single(inputs, 0), replace(HOT, seed=None, ends=()), 6)
    assert len({tuple(row.tolist()) for row in told.ids}) > 3


@pytest.mark.parametrize("contrast", [None, Contrast("second", 1.0, 0.01)])
def test_the_fast_path_in_parts(model, inputs, contrast):
    wording = replace(HOT, contrast=contrast)

    def small(inputs, wording, copies):
        if copies > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 GiB")
        return fast_draft(FastGeneration(model, compiled=False), model, inputs, wording, copies)

    whole = fast_draft(FastGeneration(model, compiled=False), model, inputs, wording, 6)
    assert torch.equal(in_halves(small, inputs, wording, 6).ids, whole.ids)


def test_other_errors_are_not_tried_again(inputs):
    def broken(*given):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        in_halves(broken, inputs, HOT, 6)


def test_a_sparse_model_in_parts():
    model, wording = mixtral(), Wording(5, temperature=1.0, seed=1, contrast=Contrast("rank2", 0.5, 0.01))
    inputs = {"input_ids": torch.arange(3, 9)[None]}
    whole = plain_draft(model, inputs, wording, 5)

    def small(inputs, wording, copies):
        if copies > 2:
            raise torch.OutOfMemoryError("no room")
        return plain_draft(model, inputs, wording, copies)

    assert torch.equal(in_halves(small, inputs, wording, 5).ids, whole.ids)
