"""Examples -> rows of token ids: the arrays of fixed shape that a training step reads, for any processor."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from moai.data.example import Example
from moai.data.skipped import Skipped
from moai.models.inputs.image_processing import image_pixels
from moai.models.modeling import IGNORED
from moai.models.processing import MoAIProcessor
from perception.kinds.ocr import say_ocr
from perception.panoptic import panoptic_ids
from perception.presets import DEFAULT
from perception.registry import expert_names
from perception.scene import Scene, TextLine
from perception.verbalize import verbalize

WINDOW_QUESTION = 'Continue: "{}"'
WINDOW_PROMPT, WINDOW_ANSWER = 5, 20
_WINDOW_PLACES = 4
"""A window of a text-only row stands behind fewer turns than this."""

TokenTurn = tuple[list[int], list[int]]
"""Token ids of a question's turn and of its answer."""
Sample = dict[str, np.ndarray]


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


class Rows:
    """Base of what makes a sample of examples. `experts` are those whose words and colour map are given: full names,
    None for all. `experts_from` is the preset of those that look at pictures of sources that name none. Answers of
    dialogues that do not fit are listed in `too_long`."""

    def __init__(
        self,
        processor: MoAIProcessor,
        sizes: RowSizes | None = None,
        experts: Sequence[str] | None = None,
        experts_from: str = DEFAULT,
    ) -> None:
        self.processor = processor
        self.experts_from = experts_from
        self.too_long = Skipped("answers that do not fit into a row")
        self.sizes = sizes or RowSizes()
        self.experts = expert_names() if experts is None else tuple(experts)
        # The last words of the sentence that opens the recognised text.
        opening = say_ocr(Scene(1, 1, text_lines=[TextLine("", 1.0)])).removesuffix(".")
        self.text_opening = processor.encode_text(f" {opening.strip()}")[-WINDOW_PROMPT:]

    def sample(self, examples: Iterable[Example], rng: np.random.Generator) -> Sample | None:
        """One sample, every array with a fixed shape; None when there is nothing to learn from. `rng` is for examples
        that have none of their own."""
        raise NotImplementedError

    def window(self, aux: list[int], rng: np.random.Generator, text_lines: bool = False) -> TokenTurn | None:
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
        return self.question_ids(WINDOW_QUESTION.format(shown)), answer

    def question_ids(self, question: str) -> list[int]:
        """A question's turn in tokens, behind a picture."""
        return self.processor.question_ids(question)

    def turns(self, example: Example) -> list[TokenTurn]:
        """The example's turns in tokens."""
        return [self.tokens(asked, said) for asked, said in example.turns]

    def tokens(self, question: str, answer: str) -> TokenTurn:
        """One turn in tokens."""
        return self.question_ids(question), self.processor.answer_ids(answer)

    def spoken(self, messages: Sequence[Mapping[str, str]], told: str = "") -> list[dict[str, str]]:
        """The messages with `told` before the first question."""
        said = [dict(message) for message in messages]
        first = next(message for message in said if message["role"] == "user")
        first["content"] = f"{told}\n{first['content']}" if told else first["content"]
        return said

    def reports(self) -> list[str]:
        """Sentences on what did not fit so far, in all processes that make rows."""
        told = self.too_long.sentence()
        return [] if told is None else [told]

    def cut(self, example: Example, answer: int, length: int, room: int) -> None:
        """Lists an answer of an example that does not fit."""
        if example.meta.name:
            why = f"with what stands before, it is {length} tokens long, and there is room for {room}"
            self.too_long.note(f"{example.meta.name}, answer {answer + 1}", why)


class TextRows(Rows):
    """Text alone: the verbalised scene in the picture's place, then turns until the row is full.

    A dialogue is a row of its own, with the verbalised scene before its first question; of its answers those that fit.

    Samples: `input_ids`, `labels` and fp32 `weights`, each (text_rows, text): those of `answer_weights` on answers,
    `text_weight` on the text. A sample of fewer examples repeats their rows.
    """

    def __init__(self, *args, text_weight: float = 0.2, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.text_weight = text_weight

    def question_ids(self, question: str) -> list[int]:
        """A question's turn in tokens, with no picture before it."""
        return self.processor.question_ids(question, with_image=False)

    def sample(self, examples: Iterable[Example], rng: np.random.Generator) -> Sample | None:
        rows = []
        for example in examples:
            row = self.dialogue(example) if example.dialogue else self.row(example, example.meta.rng or rng)
            rows += [] if row is None else [row]
        return _stacked(rows, self.sizes.text_rows) if rows else None

    def dialogue(self, example: Example) -> Sample | None:
        """One row of the dialogue's first answers, all that fit; None when the first does not."""
        told = "" if example.scene is None else verbalize(example.scene, example.meta.experts).strip()
        messages = self.spoken(example.dialogue, told)
        answered = [number + 1 for number, message in enumerate(messages) if message["role"] == "assistant"]
        for kept in reversed(answered):
            ids, said = self.processor.dialogue_ids(messages[:kept], False)
            if len(ids) <= self.sizes.text:
                break
            self.cut(example, answered.index(kept), len(ids), self.sizes.text)
        else:
            return None
        weights = [0.0] * len(ids)
        start = 0
        for answer, tokens in groupby(said):
            end = start + len(list(tokens))
            if answer:
                weights[start:end] = answer_weights(ids[start:end], example.meta.weight)
            start = end
        return self.arrays(ids, weights)

    def row(self, example: Example, rng: np.random.Generator) -> Sample:
        """One row: as many turns as fit behind the verbalised scene."""
        if example.image is not None and example.scene is None:
            raise ValueError("an example of a picture needs a scene where pictures are not shown; this one has none")
        told = "" if example.scene is None else verbalize(example.scene, example.meta.experts).strip()
        aux = self.processor.encode_text(f" {told}") if told else []
        ids = [*self.processor.prefix_ids(with_image=False), *aux]
        weights = [self.text_weight] * len(ids)
        turns: list[Any] = list(example.turns)
        window = self.window(aux, rng) if example.meta.windows else None
        if window is not None:
            turns.insert(int(rng.integers(0, _WINDOW_PLACES)), window)
        for turn in turns:
            # Most of the time goes into tokens; what does not fit any more needs none.
            question, answer = turn if turn is window else self.tokens(*turn)
            if len(ids) + len(question) + len(answer) > self.sizes.text:
                break
            ids += question + answer
            weights += [0.0] * len(question) + answer_weights(answer, example.meta.weight)
        return self.arrays(ids, weights)

    def arrays(self, ids: list[int], weights: list[float]) -> Sample:
        """The row in a fixed width."""
        width = self.sizes.text
        return {
            "input_ids": _fixed(ids, width, self.processor.tokenizer.pad_token_id),
            "labels": _fixed(ids, width, IGNORED),
            "weights": _fixed(weights, width, 0.0, np.float32),
        }


class WordRows(Rows):
    """What experts say about a scene, for a compressor that writes it back; no picture, no questions.

    Samples: `aux_input_ids` / `aux_attention_mask` (aux,). Scenes of which nothing is said are passed over.
    """

    def sample(self, examples: Iterable[Example], rng: np.random.Generator) -> Sample | None:
        for example in examples:
            words = self.words(example)
            if words:
                return self.arrays(words)
        return None

    def speaking(self, example: Example) -> tuple[str, ...]:
        """The experts that speak of an example."""
        return self.experts if example.meta.experts is None else tuple(example.meta.experts)

    def words(self, example: Example) -> list[int]:
        """Token ids of what is said, as many as there is room for."""
        if example.scene is None:
            return []
        return self.processor.aux_ids(example.scene, self.speaking(example))[: self.sizes.aux]

    def arrays(self, aux: list[int]) -> Sample:
        """The auxiliary part of a sample."""
        return {
            "aux_input_ids": _fixed(aux, self.sizes.aux, self.processor.tokenizer.pad_token_id),
            "aux_attention_mask": _fixed([1] * len(aux), self.sizes.aux, 0),
        }


class ImageRows(WordRows):
    """A picture, what experts say about it, and several questions.

    Samples have, beside those of `WordRows`, for a model input of side s: `pixels` (3, s, s) uint8, `panoptic` (s, s)
    uint8 class ids, `patch_labels` (I,) index into the source's class names or -100, and for Q questions, W tokens a
    row: `input_ids` / `labels` / `prompt_mask` and fp32 `weights` (Q, W). With `packed`, all questions stand in one
    row, which has `turn_ids` as well (see `moai.models.inputs.packing`), each (W,); padding is a turn of its own, -1.
    The first `windows` questions ask to continue the experts' words. An answer of a dialogue is a question of its own
    here, with all that was said before in its prompt; of more than Q, some are drawn. Without `experts` the auxiliary
    parts and `panoptic` are left out. Examples whose turns do not fit are passed over.
    """

    def __init__(self, *args, windows: int = 0, packed: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.windows, self.packed = windows, packed

    def sample(self, examples: Iterable[Example], rng: np.random.Generator) -> Sample | None:
        for example in examples:
            sample = self.one(example, example.meta.rng or rng)
            if sample is not None:
                return sample
        return None

    def one(self, example: Example, rng: np.random.Generator) -> Sample | None:
        """The sample of one example; None when no turn fits."""
        if example.image is None:
            return self.without_picture(example)
        side, windows, parts = self.processor.image_size, [], {}
        if self.experts:
            aux = self.words(example)
            shown = example.scene is not None and "segmentation" in self.speaking(example)
            ids = panoptic_ids(example.scene, side) if shown else np.zeros((side, side))
            parts = self.arrays(aux) | {"panoptic": ids.astype(np.uint8)}
            if example.meta.windows:
                windows = [self.window(aux, rng, text_lines=number == 0) for number in range(self.windows)]
        turns = [turn for turn in windows if turn is not None] + self.turns(example)
        prefix = self.processor.prefix_ids(with_image=True)
        if example.dialogue:
            prefix, answers = self.answers(example, max(self.sizes.questions - len(turns), 1), rng)
            turns += answers
        rows = self.rows(turns, example.meta.weight, prefix)
        if not rows:
            return None
        pixels = image_pixels(example.image, side).numpy()
        return {"pixels": pixels, "patch_labels": self.patch_labels(example)} | parts | rows

    def without_picture(self, example: Example) -> Sample | None:
        """Text alone in the shape of the other samples: its turns see neither each other nor the blank picture, and no
        mixer works on them. Raises ValueError where questions are not packed."""
        if not self.packed:
            raise ValueError("every example needs a picture where pictures are shown; this one has none")
        side, processor = self.processor.image_size, self.processor
        turns = [
            (processor.conversation_ids([{"role": "user", "content": asked}], False), processor.answer_ids(said))
            for asked, said in example.turns
        ]
        rows = self.rows(turns, example.meta.weight, processor.prefix_ids(with_image=True), alone=True)
        if not rows:
            return None
        blank = {"pixels": np.zeros((3, side, side), np.uint8), "patch_labels": self.patch_labels(example)}
        words = self.arrays([]) | {"panoptic": np.zeros((side, side), np.uint8)} if self.experts else {}
        return blank | words | rows

    def answers(self, example: Example, count: int, rng: np.random.Generator) -> tuple[list[int], list[TokenTurn]]:
        """A dialogue in tokens: what stands up to the end of its picture's placeholders, the same for all of it, and
        `count` of the answers that fit, each with all that was said since. So each is learned as it is given in a chat,
        where what was said before, answers among it, is part of the prompt. Of more answers, some are drawn."""
        messages = self.spoken(example.dialogue)
        image = self.processor.tokenizer.convert_tokens_to_ids(self.processor.image_token)
        numbers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
        room = self.width(self.sizes.turn)
        prefix: list[int] = []
        fitting: dict[int, TokenTurn] = {}
        for number in rng.permutation(numbers):
            prompt = self.processor.conversation_ids(messages[:number], with_image=True)
            answer = self.processor.answer_ids(messages[number]["content"])
            if len(prompt) + len(answer) > room:
                self.cut(example, numbers.index(number), len(prompt) + len(answer), room)
                continue
            start = len(prompt) - prompt[::-1].index(image)
            prefix, fitting[number] = prompt[:start], (prompt[start:], answer)
            if len(fitting) >= count:
                break
        return prefix, [fitting[number] for number in sorted(fitting)]

    def width(self, room: int) -> int:
        """Tokens of a row with room for as many behind what usually stands before a question."""
        return len(self.processor.prefix_ids(with_image=True)) + room

    def patch_labels(self, example: Example) -> np.ndarray:
        """What each patch shows at its middle: (I,) index into the source's class names or -100."""
        classes = example.meta.patch_classes
        if classes is None:
            return np.full(self.processor.num_image_tokens, IGNORED)
        grid = round(self.processor.num_image_tokens**0.5)
        rows, columns = (((np.arange(grid) + 0.5) * length / grid).astype(int) for length in classes.shape)
        return classes[np.ix_(rows, columns)].ravel().astype(np.int64)

    def rows(self, turns: list[TokenTurn], weight: float, prefix: list[int], alone: bool = False) -> Sample:
        """The first fitting turns behind `prefix`, the picture's placeholders at its end, as fixed arrays; empty when
        no turn fits."""
        width = self.width(self.sizes.turn)
        fitting = [turn for turn in turns if len(prefix) + len(turn[0]) + len(turn[1]) <= width]
        if not fitting:
            return {}
        if self.packed:
            return self.row(fitting, self.width(self.sizes.packed), weight, prefix, alone)
        rows = [self.row([turn], width, weight, prefix) for turn in fitting[: self.sizes.questions]]
        stacked = _stacked(rows, self.sizes.questions)
        del stacked["turn_ids"]
        return stacked

    def row(self, turns: list[TokenTurn], width: int, weight: float, prefix: list[int], alone: bool = False) -> Sample:
        """Those of the turns, each on its own, that fit into `width` tokens behind what all share; the first must. With
        `alone` they share nothing, and what stands before them is as padding."""
        ids, labels, prompt = list(prefix), [IGNORED] * len(prefix), [1] * len(prefix)
        weights, numbers = [0.0] * len(prefix), [-1 if alone else 0] * len(prefix)
        for number, (question, answer) in enumerate(turns, 1):
            length = len(question) + len(answer)
            if len(ids) + length <= width:
                ids += question + answer
                labels += [IGNORED] * len(question) + answer
                weights += [0.0] * len(question) + answer_weights(answer, weight)
                prompt += [0 if alone else 1] * len(question) + [0] * len(answer)
                numbers += [number] * length
        return {
            "input_ids": _fixed(ids, width, self.processor.tokenizer.pad_token_id),
            "labels": _fixed(labels, width, IGNORED),
            "weights": _fixed(weights, width, 0.0, np.float32),
            "prompt_mask": _fixed(prompt, width, 0),
            "turn_ids": _fixed(numbers, width, -1),
        }


def answer_weights(answer: list[int], weight: float = 1.0) -> list[float]:
    """Weight in the loss of each token of an answer: a long answer counts by the root of its length, so that
    descriptions do not drown out a yes or no."""
    return [weight * len(answer) ** -0.5] * len(answer)


def trimmed(samples: list[Sample]) -> dict[str, torch.Tensor]:
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


def _stacked(rows: list[Sample], count: int) -> Sample:
    repeated = (rows * count)[:count]
    return {name: np.stack([row[name] for row in repeated]) for name in rows[0]}


def _fixed(values: list, width: int, fill: float, dtype: type = np.int64) -> np.ndarray:
    row = np.full(width, fill, dtype=dtype)
    row[: len(values)] = values[:width]
    return row
