"""Examples from drawn scenes, endless: what the experts would say, questions and answers, pictures."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.ground_truth import to_scene
from moai.data.drawn.held_out import held_out_questions
from moai.data.drawn.layout import Layout
from moai.data.drawn.levels import check, mixed
from moai.data.drawn.noise import ExpertErrors, errors_at, observe
from moai.data.drawn.question import Question
from moai.data.drawn.questions.ask import KINDS, ask
from moai.data.drawn.render.render import Drawn, render
from moai.data.drawn.render.signs import COLOURS
from moai.data.drawn.scene.sample import sample_layout
from moai.data.drawn.text.words import sign_text
from moai.data.example import Example, Meta
from moai.data.rows import RowSizes
from moai.data.splits import HELD_OUT_SEED, check_training, held_out
from moai.models.modeling import IGNORED
from perception.registry import expert_names

READABLE_KINDS = tuple(kind for kind in KINDS if kind != "colour")
"""Question kinds whose answer stands in the experts' words: they do not name colours."""
PATCH_CLASSES = (*THING_LABELS, *STUFF_LABELS, *(f"{colour} sign" for colour in COLOURS))


class DrawnExamples:
    """Base of the sources: position p is the scene of seed `first_seed` + p.

    `difficulty` is that of the scenes, 0..1; None mixes them. Of `sizes` the numbers of questions and of text rows
    count. Scenes that are held out are passed over.
    Raises ValueError for a first seed that is held out, a difficulty out of range, and once no other seeds are left.
    """

    class_names: tuple[str, ...] = PATCH_CLASSES

    def __init__(self, sizes: RowSizes, first_seed: int, difficulty: float | None = None) -> None:
        check_training(range(first_seed, first_seed + 1))
        if difficulty is not None:
            check(difficulty)
        self.sizes, self.first_seed, self.difficulty = sizes, first_seed, difficulty

    def examples(self, position: int) -> Iterator[Example]:
        """The examples of one scene."""
        seed = self.first_seed + position
        if seed >= HELD_OUT_SEED:
            check_training(range(seed, seed + 1))
        return iter(()) if held_out(seed) else self.about(seed)

    def about(self, seed: int) -> Iterator[Example]:
        """The examples of the scene of one seed."""
        raise NotImplementedError

    def held_out(self, count: int) -> list[Example]:
        """Held-out questions, one an example."""
        asked = islice(held_out_questions(), count)
        return [Example(image, scene, [turn(question)]) for image, scene, question in asked]

    def scene(self, seed: int) -> tuple[Layout, ExpertErrors]:
        """The layout of one seed, and how often experts err on scenes as hard as it."""
        difficulty = mixed(seed) if self.difficulty is None else self.difficulty
        return sample_layout(seed, difficulty, partial(sign_text, split="varied")), errors_at(difficulty)


class VerbalizedScenes(DrawnExamples):
    """Scenes without pictures, and what can be answered from the experts' words; `text_rows` of each."""

    def about(self, seed: int) -> Iterator[Example]:
        """The examples of the scene of one seed, each with errors of the experts and questions of its own."""
        rng = np.random.default_rng((seed, 1))
        layout, errors = self.scene(seed)
        truth = to_scene(layout)
        for _ in range(self.sizes.text_rows):
            scene = observe(truth, rng, errors=errors)
            asked = ask(layout, rng, 10, READABLE_KINDS, "varied")
            turns = [turn(question) for question in asked if not question.colours]
            yield Example(scene=scene, turns=turns, meta=Meta(rng=rng))


class ExpertWords(DrawnExamples):
    """What simulated experts say about a scene; no picture, no questions.

    `experts` are those that speak; each is left out now and then, `drop_expert` of the time.
    """

    def __init__(self, *args, experts: Sequence[str] | None = None, drop_expert: float = 0.08, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.experts = expert_names() if experts is None else tuple(experts)
        self.drop_expert = drop_expert

    def about(self, seed: int) -> Iterator[Example]:
        """The example of the scene of one seed."""
        rng = np.random.default_rng((seed, 2))
        layout, errors = self.scene(seed)
        scene = observe(to_scene(layout), rng, errors=errors)
        yield Example(scene=scene, meta=Meta(experts=self.speaking(rng), rng=rng))

    def speaking(self, rng: np.random.Generator) -> tuple[str, ...]:
        """The experts that speak this time; one that speaks alone always does."""
        if len(self.experts) == 1:
            return self.experts
        return tuple(name for name in self.experts if rng.random() >= self.drop_expert)


class ImageQuestions(ExpertWords):
    """A drawn picture, what simulated experts say about it, and several questions, `readings` of which ask what signs
    say. Without `experts` these are left out, and the scene with them."""

    def __init__(self, *args, readings: int = 0, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.readings = readings

    def about(self, seed: int) -> Iterator[Example]:
        """The example of the scene of one seed."""
        rng = np.random.default_rng((seed, 2))
        layout, errors = self.scene(seed)
        drawn = render(layout, scale=0.6)
        classes = patch_classes(layout, drawn)
        turns = [turn(question) for question in ask(layout, rng, self.sizes.questions, wording="varied")]
        if not self.experts:
            yield Example(drawn.image, None, turns, Meta((), classes, rng=rng))
            return
        speaking = self.speaking(rng)
        scene = observe(to_scene(layout, drawn), rng, errors=errors)
        yield Example(drawn.image, scene, self.read_first(turns, layout, rng), Meta(speaking, classes, rng=rng))

    def read_first(
        self, turns: list[tuple[str, str]], layout: Layout, rng: np.random.Generator
    ) -> Iterator[tuple[str, str]]:
        """What signs say, then the other turns."""
        yield from map(turn, ask(layout, rng, self.readings, ("reading",), "varied"))
        yield from turns


def turn(question: Question) -> tuple[str, str]:
    """A question and its answer."""
    return question.question, question.answer


def patch_classes(layout: Layout, drawn: Drawn) -> np.ndarray:
    """What each pixel of a drawn picture shows: (H, W) index into PATCH_CLASSES or -100."""
    index = {name: number for number, name in enumerate(PATCH_CLASSES)}
    stuff = [index.get(region.label, IGNORED) for region in layout.stuff] or [IGNORED]
    things = [index[item.label] for item in layout.objects]
    signs = [index[f"{sign.colour} sign"] for sign in layout.signs]
    # Numbers of instances: a thing's own, -1 for none, and from -2 down those of signs, which count from the end here.
    of_instance = np.array([*things, *reversed(signs), IGNORED])
    classes = of_instance[drawn.instances]
    return np.where(drawn.instances == -1, np.array(stuff)[np.minimum(drawn.stuff, len(stuff) - 1)], classes)
