import dataclasses

import numpy as np
import pytest

from moai.data.drawn.question import Question
from moai.data.drawn.unanswerable import NOTHING, OODImages, of_nothing
from moai.data.rows import RowSizes
from moai.models.modeling import IGNORED
from moai.training.experiment import load_experiment
from moai.training.run import data_set, fresh_model
from perception.registry import expert_names
from perception.verbalize import verbalize
from tests.data.drawn.samples import drawn_samples

SIZES = dataclasses.replace(RowSizes(), questions=6)


@pytest.fixture(scope="module")
def processor():
    return fresh_model(0)[1]


@pytest.fixture(scope="module")
def source(processor):
    return drawn_samples(processor, SIZES, unfamiliar=0.4, windows=1, readings=2, packed=True)


def told(samples, seeds=120):
    (source,) = samples.source.sources
    return [source.told(seed, np.random.default_rng((seed, 9))) for seed in range(seeds)]


def test_samples_have_the_shapes_of_familiar_ones(source, processor):
    familiar = drawn_samples(processor, SIZES, windows=1, readings=2, packed=True).sample(1)
    shapes = {name: (array.shape, array.dtype) for name, array in familiar.items()}
    blank = []
    for seed in range(60):
        sample = source.sample(seed)
        assert {name: (array.shape, array.dtype) for name, array in sample.items()} == shapes
        blank.append((sample["patch_labels"] == IGNORED).all())
    assert 0.2 < np.mean(blank) < 0.6


def test_what_is_asked_can_be_answered_from_what_is_said(source):
    silent = pages = scenes = 0
    for scene, questions in told(source):
        assert questions
        words = verbalize(scene).strip()
        if not words:
            silent += 1
            assert {q.answer for q in questions} <= {"No", "0", NOTHING, "There is no sign.", "There is no text."}
        elif scene.text_lines and not scene.detections:
            pages += 1
            for q in questions:
                assert q.answer.removesuffix(" ...").split(", ")[0] in words
        else:
            scenes += 1
            assert not any(q.colours for q in questions)
    assert min(silent, pages, scenes) > 15


def test_nothing_is_answered_as_such():
    assert of_nothing(Question("existence", "Is there a dog?", "Yes")).answer == "No"
    assert of_nothing(Question("count", "How many dogs are there?", "3")).answer == "0"
    assert of_nothing(Question("count", "Are there two dogs?", "Yes")).answer == "No"
    assert of_nothing(Question("description", "Describe the picture.", "A dog.")).answer == NOTHING


@pytest.mark.parametrize(
    ("stage", "experts", "unfamiliar"),
    [("bridge", expert_names(), True), ("bridge", ("ocr",), False), ("backbone", expert_names(), False)],
)
def test_the_bridge_learns_from_them_where_all_experts_speak(processor, stage, experts, unfamiliar):
    (source,) = data_set(load_experiment(stage), processor, SIZES, experts).source.sources
    assert isinstance(source, OODImages) == unfamiliar
