"""Drawn pictures that are never trained on, with simulated experts and questions."""

import itertools
from collections.abc import Iterator

import numpy as np

from moai.data.drawn.ground_truth import to_scene
from moai.data.drawn.noise import observe
from moai.data.drawn.question import Question
from moai.data.drawn.questions.ask import ask
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from moai.data.splits import SAMPLE_ANSWERS
from perception.scene import Scene


def held_out_questions(
    per_image: int = 5, first_seed: int = SAMPLE_ANSWERS.start
) -> Iterator[tuple[np.ndarray, Scene, Question]]:
    """Pictures (uint8 (H, W, 3)), what experts may see in them, and one question after the other, `per_image` of each;
    endless."""
    for seed in itertools.count(first_seed):
        rng = np.random.default_rng((seed, 3))
        layout = sample_layout(seed)
        drawn = render(layout)
        scene = observe(to_scene(layout, drawn), rng)
        for question in ask(layout, rng, per_image):
            yield drawn.image, scene, question
