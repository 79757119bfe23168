"""Endless training samples from drawn scenes: what the experts would say, questions and answers, pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import IterableDataset, default_collate, get_worker_info

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.ground_truth import to_scene
from moai.data.drawn.layout import Layout
from moai.data.drawn.levels import mixed
from moai.data.drawn.noise import ExpertErrors, errors_at, observe
from moai.data.drawn.questions.ask import KINDS, Question, ask
from moai.data.drawn.render.render import Drawn, render
from moai.data.drawn.render.signs import COLOURS
from moai.data.drawn.scene.sample import sample_layout
from moai.data.drawn.text.words import sign_text
from moai.models.modeling import IGNORED
from moai.models.processing import MoAIProcessor
from perception.kinds.ocr import say_ocr
from perception.panoptic import panoptic_ids
from perception.registry import expert_names
from perception.scene import Scene, TextLine
from perception.verbalize import verbalize

HELD_OUT_SEED = 1_000_000_000
"""Seeds from here on are never trained on."""
READABLE_KINDS = tuple(kind for kind in KINDS if kind != "colour")
"""Question kinds whose answer stands in the experts' words: they do not name colours."""
WINDOW_QUESTION = 'Continue: "{}"'
WINDOW_PROMPT, WINDOW_ANSWER = 5, 20
PATCH_CLASSES = (*THING_LABELS, *STUFF_LABELS, *(f"{colour} sign" for colour in COLOURS))


@dataclass(frozen=True)
class RowSizes:
    """Fixed widths, in tokens, so that a compiled step sees one shape: of a text-only row, of the question and answer
    behind a picture, of all questions and answers that are packed behind one, and of the verbalised scene; `questions`,
    `packed_questions` where they are packed, and `text_rows` are the questions per picture and the rows per text."""

    text: int = 320
    turn: int = 80
    packed: int = 384
    aux: int = 288
    questions: int = 8
    packed_questions: int = 16
    text_rows: int = 2


class DrawnScenes(IterableDataset):
    """Base of the endless sources: worker k of n uses the seeds first + k, first + k + n, ...

    `difficulty` is that of the scenes, 0..1; None mixes them.
    """

    def __init__(self, processor: MoAIProcessor, first_seed: int, sizes: RowSizes, difficulty: float | None = None):
        self.processor = processor
        self.first_seed = first_seed
        self.sizes = sizes
        self.difficulty = difficulty
        # The last words of the sentence that opens the recognised text.
        opening = say_ocr(Scene(1, 1, text_lines=[TextLine("", 1.0)])).removesuffix(".")
        self.text_opening = processor.encode_text(f" {opening.strip()}")[-WINDOW_PROMPT:]

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        if info is not None:
            torch.set_num_threads(1)
            cv2.setNumThreads(0)
        seed = self.first_seed + worker
        while True:
            if seed >= HELD_OUT_SEED:
                raise ValueError(f"seed {seed} is held out; training seeds stay below {HELD_OUT_SEED}")
            sample = self.sample(seed)
            if sample is not None:
                yield sample
            seed += workers

    def scene(self, seed: int) -> tuple[Layout, ExpertErrors]:
        """The layout of one seed, and how often experts err on scenes as hard as it."""
        difficulty = mixed(seed) if self.difficulty is None else self.difficulty
        return sample_layout(seed, difficulty, partial(sign_text, split="varied")), errors_at(difficulty)

    def sample(self, seed: int) -> dict[str, np.ndarray] | None:
        """The sample of one seed, every array with a fixed shape; None when the scene has nothing to ask."""
        raise NotImplementedError

    def window(
        self, aux: list[int], rng: np.random.Generator, text_lines: bool = False
    ) -> tuple[list[int], list[int]] | None:
        """A dense target: some words of the verbalised scene as the question, the words that follow as the answer.

        With `text_lines` the answer begins with the recognised text, when there is some.
        """
        room = len(aux) - WINDOW_PROMPT - 4
        if room <= 0:
            return None
        start = int(rng.integers(0, room))
        if text_lines:
            start = max((i for i in range(room) if aux[i : i + WINDOW_PROMPT] == self.text_opening), default=start)
        middle = start + WINDOW_PROMPT
        tokenizer = self.processor.tokenizer
        shown = tokenizer.decode(aux[start:middle]).strip()
        answer = [*aux[middle : middle + WINDOW_ANSWER], tokenizer.eos_token_id]
        return self.processor.question_ids(WINDOW_QUESTION.format(shown)), answer

    def turn(self, question: Question) -> tuple[list[int], list[int]]:
        """Token ids of a question's turn and of its answer."""
        return self.processor.question_ids(question.question), self.processor.answer_ids(question.answer)


class VerbalizedScenes(DrawnScenes):
    """Text alone: the verbalised scene in the picture's place, then turns until the row is full.

    Samples: `input_ids`, `labels` and fp32 `weights`, each (text_rows, text): those of `answer_weights` on answers,
    `text_weight` on the text.
    """

    def __init__(self, *args, text_weight: float = 0.2, **kwargs):
        super().__init__(*args, **kwargs)
        self.text_weight = text_weight

    def sample(self, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng((seed, 1))
        layout, errors = self.scene(seed)
        truth = to_scene(layout)
        rows = [self.row(layout, observe(truth, rng, errors=errors), rng) for _ in range(self.sizes.text_rows)]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def row(self, layout: Layout, scene: Scene, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One row: as many turns as fit behind the verbalised scene."""
        aux = self.processor.encode_text(f" {verbalize(scene).strip()}")
        ids = [*self.processor.prefix_ids(with_image=False), *aux]
        weights = [self.text_weight] * len(ids)
        asked = ask(layout, rng, 10, READABLE_KINDS, "varied")
        turns = [self.turn(question) for question in asked if not question.colours]
        window = self.window(aux, rng)
        if window is not None:
            turns.insert(int(rng.integers(0, 4)), window)
        for question, answer in turns:
            if len(ids) + len(question) + len(answer) > self.sizes.text:
                break
            ids += question + answer
            weights += [0.0] * len(question) + answer_weights(answer)
        width = self.sizes.text
        return {
            "input_ids": _fixed(ids, width, self.processor.tokenizer.pad_token_id),
            "labels": _fixed(ids, width, IGNORED),
            "weights": _fixed(weights, width, 0.0, np.float32),
        }


class ExpertWords(DrawnScenes):
    """What simulated experts say about a scene, for a compressor that writes it back; no picture, no questions.

    Samples: `aux_input_ids` / `aux_attention_mask` (aux,). `experts` are those that speak; each is left out now and
    then, `drop_expert` of the time. Scenes of which they have nothing to say are passed over.
    """

    def __init__(self, *args, experts: Sequence[str] | None = None, drop_expert: float = 0.08, **kwargs):
        super().__init__(*args, **kwargs)
        self.experts = expert_names() if experts is None else tuple(experts)
        self.drop_expert = drop_expert

    def sample(self, seed: int) -> dict[str, np.ndarray] | None:
        rng = np.random.default_rng((seed, 2))
        layout, errors = self.scene(seed)
        scene = observe(to_scene(layout), rng, errors=errors)
        arrays = self.arrays(self.words(scene, self.speaking(rng)))
        return arrays if arrays["aux_attention_mask"].any() else None

    def speaking(self, rng: np.random.Generator) -> tuple[str, ...]:
        """The experts that speak this time; one that speaks alone always does."""
        if len(self.experts) == 1:
            return self.experts
        return tuple(name for name in self.experts if rng.random() >= self.drop_expert)

    def words(self, scene: Scene, speaking: Sequence[str]) -> list[int]:
        """Token ids of what is said, as many as there is room for."""
        return self.processor.aux_ids(scene, speaking)[: self.sizes.aux]

    def arrays(self, aux: list[int]) -> dict[str, np.ndarray]:
        """The auxiliary part of a sample."""
        return {
            "aux_input_ids": _fixed(aux, self.sizes.aux, self.processor.tokenizer.pad_token_id),
            "aux_attention_mask": _fixed([1] * len(aux), self.sizes.aux, 0),
        }


class ImageQuestions(ExpertWords):
    """A drawn picture, what simulated experts say about it, and several questions.

    Samples have, beside those of `ExpertWords`, for a picture of side s: `pixels` (3, s, s) uint8, `panoptic` (s, s)
    uint8 class ids, `patch_labels` (I,) index into PATCH_CLASSES or -100, and for Q questions, W tokens a row:
    `input_ids` / `labels` / `prompt_mask` and fp32 `weights` (Q, W). With `packed`, all questions stand in one row,
    which has `turn_ids` as well (see `moai.data.packing`), each (W,); padding is a turn of its own, -1.
    Of the Q questions `windows` ask to continue the experts' words and `readings` what signs say. Without `experts`
    the auxiliary parts and `panoptic` are left out.
    """

    def __init__(self, *args, windows: int = 0, readings: int = 0, packed: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.windows, self.readings, self.packed = windows, readings, packed

    def sample(self, seed: int) -> dict[str, np.ndarray] | None:
        rng = np.random.default_rng((seed, 2))
        layout, errors = self.scene(seed)
        processor, side = self.processor, self.processor.image_size
        drawn = render(layout, scale=0.6)
        image = Image.fromarray(drawn.image).resize((side, side), Image.Resampling.BICUBIC)
        sample = {
            "pixels": np.asarray(image).transpose(2, 0, 1).copy(),
            "patch_labels": patch_labels(layout, drawn, round(processor.num_image_tokens**0.5)),
        }
        turns = [self.turn(question) for question in ask(layout, rng, self.sizes.questions, wording="varied")]
        if self.experts:
            speaking = self.speaking(rng)
            scene = observe(to_scene(layout, drawn), rng, errors=errors)
            aux = self.words(scene, speaking)
            shown = panoptic_ids(scene, side) if "segmentation" in speaking else np.zeros((side, side))
            sample |= self.arrays(aux) | {"panoptic": shown.astype(np.uint8)}
            turns = self.about_words(aux, layout, rng) + turns
        rows = self.rows(turns)
        return sample | rows if rows else None

    def about_words(
        self, aux: list[int], layout: Layout, rng: np.random.Generator
    ) -> list[tuple[list[int], list[int]]]:
        """The turns that ask to continue the experts' words, and those that ask what signs say."""
        windows = [self.window(aux, rng, text_lines=number == 0) for number in range(self.windows)]
        read = [self.turn(question) for question in ask(layout, rng, self.readings, ("reading",), "varied")]
        return [turn for turn in windows if turn is not None] + read

    def rows(self, turns: list[tuple[list[int], list[int]]]) -> dict[str, np.ndarray]:
        """The first fitting turns behind the picture's placeholders, as fixed arrays; empty when no turn fits."""
        fitting = [turn for turn in turns if len(turn[0]) + len(turn[1]) <= self.sizes.turn]
        if not fitting:
            return {}
        if self.packed:
            return self.row(fitting, self.sizes.packed)
        fitting = (fitting * self.sizes.questions)[: self.sizes.questions]
        rows = [self.row([turn], self.sizes.turn) for turn in fitting]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0] if name != "turn_ids"}

    def row(self, turns: list[tuple[list[int], list[int]]], room: int) -> dict[str, np.ndarray]:
        """Those of the turns, each on its own, that fit into `room` tokens behind what all share; the first must."""
        prefix = self.processor.prefix_ids(with_image=True)
        ids, labels, prompt = list(prefix), [IGNORED] * len(prefix), [1] * len(prefix)
        weights, numbers = [0.0] * len(prefix), [0] * len(prefix)
        width = len(prefix) + room
        for number, (question, answer) in enumerate(turns, 1):
            length = len(question) + len(answer)
            if len(ids) + length <= width:
                ids += question + answer
                labels += [IGNORED] * len(question) + answer
                weights += [0.0] * len(question) + answer_weights(answer)
                prompt += [1] * len(question) + [0] * len(answer)
                numbers += [number] * length
        return {
            "input_ids": _fixed(ids, width, self.processor.tokenizer.pad_token_id),
            "labels": _fixed(labels, width, IGNORED),
            "weights": _fixed(weights, width, 0.0, np.float32),
            "prompt_mask": _fixed(prompt, width, 0),
            "turn_ids": _fixed(numbers, width, -1),
        }


def patch_labels(layout: Layout, drawn: Drawn, grid: int) -> np.ndarray:
    """What each patch of a grid x grid picture shows at its middle: (grid * grid,) index into PATCH_CLASSES or -100."""
    height, width = drawn.instances.shape
    rows = ((np.arange(grid) + 0.5) * height / grid).astype(int)
    columns = ((np.arange(grid) + 0.5) * width / grid).astype(int)
    instances = drawn.instances[np.ix_(rows, columns)].ravel()
    stuff = drawn.stuff[np.ix_(rows, columns)].ravel()
    index = {name: number for number, name in enumerate(PATCH_CLASSES)}
    stuff_classes = [index.get(region.label, IGNORED) for region in layout.stuff] or [IGNORED]
    labels = np.asarray(stuff_classes)[np.minimum(stuff, len(stuff_classes) - 1)]
    for number, item in enumerate(layout.objects):
        labels[instances == number] = index[item.label]
    for number, sign in enumerate(layout.signs):
        labels[instances == -2 - number] = index[f"{sign.colour} sign"]
    return labels


def answer_weights(answer: list[int]) -> list[float]:
    """Weight in the loss of each token of an answer: a long answer counts by the root of its length, so that
    descriptions do not drown out a yes or no."""
    return [len(answer) ** -0.5] * len(answer)


def _fixed(values: list, width: int, fill: float, dtype: type = np.int64) -> np.ndarray:
    row = np.full(width, fill, dtype=dtype)
    row[: len(values)] = values[:width]
    return row


def trimmed(samples: list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """One batch without the padding that all of its rows share, for steps whose shapes may vary."""
    batch = default_collate(samples)
    for name, mask in (("aux", "aux_attention_mask"), ("row", "prompt_mask")):
        if mask in batch:
            used = batch[mask] > 0
            if name == "row":
                used = used | (batch["labels"] != IGNORED)
            width = max(int(used.flatten(0, -2).any(dim=0).nonzero().max()) + 1, 1) if used.any() else 1
            names = ("aux_input_ids", mask) if name == "aux" else ("input_ids", "labels", "weights", "turn_ids", mask)
            batch |= {name: batch[name][..., :width] for name in names if name in batch}
    return batch
