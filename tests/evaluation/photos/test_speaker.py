"""Batches of prompts: what is said does not depend on them, and long prompts share a batch with fewer."""

import numpy as np
import pytest
import torch

from moai.data.example import Example, Meta
from moai.data.rows import RowSizes, TextRows
from moai.evaluation.photos.speaker import Speaker
from perception.verbalize import verbalize
from tests.conftest import example_scene

QUESTIONS = ["Is there a dog?", "How many?", "Is there a dog on the bench beside the sign, or is there none?"]


@pytest.fixture(scope="module")
def speaker(model_folder):
    return Speaker.moai(str(model_folder), torch.device("cpu"), 2)


def said(speaker, prompts, nothing):
    return {place: text for batch in speaker.answers(prompts, nothing, 6) for place, text in batch.items()}


def test_answers_and_losses_do_not_depend_on_the_batch(speaker):
    prompts, nothing = [speaker.asked(question) for question in QUESTIONS], [None] * len(QUESTIONS)
    alone = [next(speaker.answers([prompt], [None], 6))[0] for prompt in prompts]
    assert said(speaker, prompts, nothing) == dict(enumerate(alone))
    losses = {place: loss for batch in speaker.losses(prompts, nothing, QUESTIONS) for place, loss in batch.items()}
    for place, prompt in enumerate(prompts):
        loss, tokens = next(speaker.losses([prompt], [None], [QUESTIONS[place]]))[0]
        assert losses[place] == (pytest.approx(loss, rel=1e-4), tokens)


def test_long_prompts_share_a_batch_with_fewer(speaker):
    short, long = [0] * 10, [0] * 1000
    assert list(speaker._batches([long, short, short, long, short])) == [[1, 2], [4], [0], [3]]


def test_words_are_shortened_until_they_fit(speaker):
    told = "There is a dog on the bench. " * 200
    for prompt in (speaker.asked("How many?", told), speaker.taught("How many?", told)):
        assert len(prompt) <= speaker.longest
        assert prompt[-3:] == speaker.asked("How many?")[-3:]


def test_what_is_taught_is_written_as_text_rows_write_it(speaker):
    rows = TextRows(speaker.processor, RowSizes(text=200))
    example = Example(None, example_scene(), [("How many?", "two")], Meta(windows=False))
    row = rows.row(example, np.random.default_rng(0))["input_ids"].tolist()
    prompt = speaker.taught("How many?", verbalize(example_scene()).strip())
    assert row[: len(prompt)] == prompt
