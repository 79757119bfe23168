"""The questions of the `drawn` suite, made from the layouts of held-out scenes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

from moai.data.drawn.facts import asked_for
from moai.data.drawn.layout import Layout
from moai.data.drawn.question import COLOURS, MAX_COUNT
from moai.data.drawn.questions.ask import ask
from moai.data.drawn.questions.asking import Asker
from moai.data.drawn.questions.sign_questions import colour_of, text_of
from moai.data.drawn.questions.surfaces import surface_at_an_edge
from moai.data.drawn.questions.wordings import DIRECTIONS as DIRECTION_WORDS
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from moai.data.drawn.text.words import sign_text
from moai.data.draws import pick
from moai.data.nouns import NUMBER_WORDS
from moai.data.places import opposite
from moai.data.splits import DRAWN_SUITE, SUITE_EVALUATIONS, SUITE_SEEDS_APART
from moai.evaluation.metrics.multiple_choice import LETTERS, rotations

PARTS = ("pope", "mme", "textvqa", "mmbench")
POPE_SETTINGS = ("random", "popular", "adversarial")
MME_CATEGORIES = ("existence", "count", "position", "color", "OCR", "scene")
YES_NO = " Please answer yes or no."
PEOPLE = 10
"""Reference answers of a TextVQA question; the sign has one text, so all people give it."""
SCENES = 40
_TRIES = 8


@dataclass(frozen=True)
class Document:
    """One question of a part of the suite about the scene of seed `scene`, and its right answer.

    `key` names it in files. `category` is the setting of POPE or the ability of MME. The `group_size` documents of one
    `group` are scored together: the two questions of MME about a picture, or the shifts of a choice, whose `options`
    are in the order asked.
    """

    key: str
    part: str
    scene: int
    question: str
    answer: str
    category: str = ""
    group: str = ""
    group_size: int = 1
    options: tuple[str, ...] = ()

    def to_dict(self) -> dict:
        """Plain Python values."""
        return asdict(self) | {"options": list(self.options)}


def scene_seeds(scenes: int, evaluation_seed: int = 0) -> range:
    """The seeds of an evaluation's scenes; evaluations with other seeds share none. All are held out of training.

    Raises ValueError for numbers out of range (1 to 100,000 scenes, evaluation seeds 0 to 999).
    """
    if not 1 <= scenes <= SUITE_SEEDS_APART:
        raise ValueError(f"the number of scenes must be 1 to {SUITE_SEEDS_APART:,}, got {scenes}")
    if not 0 <= evaluation_seed < SUITE_EVALUATIONS:
        raise ValueError(f"an evaluation seed must be 0 to {SUITE_EVALUATIONS - 1}, got {evaluation_seed}")
    first = DRAWN_SUITE[evaluation_seed * SUITE_SEEDS_APART]
    return range(first, first + scenes)


def scene_image(scene: int) -> Image.Image:
    """The picture (RGB) of the scene with this seed."""
    return Image.fromarray(render(sample_layout(scene)).image)


def make_documents(
    parts: Sequence[str] = PARTS, scenes: int = SCENES, evaluation_seed: int = 0, limit: int | None = None
) -> list[Document]:
    """The documents of these parts, scene by scene, of each part the first `limit`; the same for the same arguments.

    Raises ValueError for an unknown part or a limit below 1, or as `scene_seeds`.
    """
    if unknown := [part for part in parts if part not in PARTS]:
        raise ValueError(f"unknown part {unknown[0]!r} of the drawn suite; its parts are {', '.join(PARTS)}")
    if limit is not None and limit < 1:
        raise ValueError(f"the limit must be at least 1, got {limit}")
    kept: dict[str, list[Document]] = {part: [] for part in parts}
    for scene in scene_seeds(scenes, evaluation_seed):
        unfinished = [part for part in parts if limit is None or len(kept[part]) < limit]
        if not unfinished:
            break
        layout = sample_layout(scene)
        for part in unfinished:
            kept[part] += _MAKERS[part](layout)
    # In the order of scenes, so that each picture is looked at once.
    return sorted((one for part in parts for one in kept[part][:limit]), key=lambda one: one.scene)


def _asker(layout: Layout, part: str) -> Asker:
    return Asker(layout, np.random.default_rng((layout.seed, PARTS.index(part), 0xBE7C)), "train")


def pope_documents(layout: Layout) -> Iterator[Document]:
    """For each of POPE's settings, a question about something that is there and one about something that is not."""
    asker = _asker(layout, "pope")
    for setting in POPE_SETTINGS:
        absent = asker.absent(setting)
        if absent is None or not asker.facts.counts:
            continue
        for label, answer in ((asker.present(list(asker.facts.counts)), "yes"), (absent, "no")):
            key = f"pope/{layout.seed}/{setting}/{answer}"
            question = f"Is there {asked_for(label)} in the image?"
            yield Document(key, "pope", layout.seed, question, answer, setting)


def mme_documents(layout: Layout) -> Iterator[Document]:
    """For each ability, a question whose answer is yes and one whose answer is no, where the scene allows it."""
    asker = _asker(layout, "mme")
    for category in MME_CATEGORIES:
        pair = _MME_PAIRS[category](asker)
        for question, answer in zip(pair or (), ("yes", "no"), strict=False):
            group = f"mme/{layout.seed}/{category}"
            yield Document(f"{group}/{answer}", "mme", layout.seed, question + YES_NO, answer, category, group, 2)


def textvqa_documents(layout: Layout) -> Iterator[Document]:
    """What a sign says, for scenes with a sign that can be named without its text."""
    read = text_of(_asker(layout, "textvqa"))
    if read is not None:
        sign, noun, _ = read
        yield Document(f"textvqa/{layout.seed}", "textvqa", layout.seed, f"What does {noun} say?", sign.text)


def mmbench_documents(layout: Layout) -> Iterator[Document]:
    """A multiple-choice question under every circular shift of its options."""
    for choice in ask(layout, _asker(layout, "mmbench").rng, 1, kinds=("choice",)):
        stem = choice.question.split("\n")[0]
        shifts = rotations(choice.options, LETTERS.index(choice.answer))
        for number, (options, answer) in enumerate(shifts):
            lines = "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
            yield Document(
                f"mmbench/{layout.seed}/{number}",
                "mmbench",
                layout.seed,
                f"{stem}{lines}\nAnswer with the letter.",
                answer,
                choice.detail,
                f"mmbench/{layout.seed}",
                len(shifts),
                options,
            )


def _existence(asker: Asker) -> tuple[str, str] | None:
    absent = asker.absent("adversarial")
    if absent is None or not asker.facts.counts:
        return None
    present = asker.present(list(asker.facts.counts))
    return tuple(f"Is there {asked_for(label)} in the image?" for label in (present, absent))


def _count(asker: Asker) -> tuple[str, str] | None:
    for _ in range(_TRIES):
        found = asker.count_of()
        if found is not None and found[1] >= 2:
            noun, count, _ = found
            wrong = count + 1 if count == 2 or (count < MAX_COUNT and asker.coin()) else count - 1
            return tuple(f"Are there {NUMBER_WORDS[number]} {noun} in the image?" for number in (count, wrong))
    return None


def _position(asker: Asker) -> tuple[str, str] | None:
    if (pair := asker.pair()) is None:
        return None
    x, y, where = pair
    return tuple(f"Is the {x} {DIRECTION_WORDS[side].train[0]} the {y}?" for side in (where, opposite(where)))


def _colour(asker: Asker) -> tuple[str, str] | None:
    if (found := colour_of(asker)) is None:
        return None
    sign, noun, _ = found
    wrong = pick(asker.rng, [colour for colour in COLOURS if colour != sign.colour])
    return tuple(f"Is {noun} {colour}?" for colour in (sign.colour, wrong))


def _reading(asker: Asker) -> tuple[str, str] | None:
    if (read := text_of(asker)) is None:
        return None
    sign, noun, _ = read
    others = [other.text for other in asker.facts.signs if other.text.lower() != sign.text.lower()]
    wrong = pick(asker.rng, others) if others else sign_text(asker.rng)
    return tuple(f"Does {noun} say {text}?" for text in (sign.text, wrong))


def _scene(asker: Asker) -> tuple[str, str] | None:
    if (found := surface_at_an_edge(asker)) is None:
        return None
    edge, label, others = found
    return tuple(f"Is there {asked_for(one)} at the {edge} of the image?" for one in (label, pick(asker.rng, others)))


_MME_PAIRS = {
    "existence": _existence,
    "count": _count,
    "position": _position,
    "color": _colour,
    "OCR": _reading,
    "scene": _scene,
}
_MAKERS = {
    "pope": pope_documents,
    "mme": mme_documents,
    "textvqa": textvqa_documents,
    "mmbench": mmbench_documents,
}
