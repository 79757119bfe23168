"""Prompts with the plain language model's answers as a source of training data."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from moai.data.draws import pick, weighted
from moai.data.example import Example, Meta
from moai.data.photographs.annotations import read_photographs
from moai.data.photographs.photograph import Photograph
from moai.data.rows import ImageRows, Rows, TextRows, WordRows
from moai.data.worded.scenes import SORTS, made_up
from moai.data.worded.source import nothing
from perception.files.whole import lines_of
from perception.images import pixels_of
from perception.scene import Scene

_ALONE = 0.5
"""Share of text rows that hold one prompt, as a conversation that begins with it; the others are full of them."""


class Instructions:
    """Examples of the prompts in `file` (see `moai.data.instructions.answer`), endless, in random order.

    Rows of text alone have no picture and no words of experts, nor have half of the packed rows. Where rows need a
    picture, it is one of the photographs of `folder` with what experts saw in it, as far as that stands there, or else
    a picture of nothing with a made-up scene: neither changes the answer. `hold_out`: prompts kept from training.

    Raises ValueError for a file that holds no answers, for rows without questions, and as `read_photographs`.
    """

    class_names = ()

    def __init__(
        self, rows: Rows, seed: int, file: str | Path, folder: str | Path | None = None, hold_out: int = 0
    ) -> None:
        if type(rows) is WordRows:
            raise ValueError("instructions ask for answers, and this stage learns the experts' words alone")
        if isinstance(hold_out, bool) or not isinstance(hold_out, int) or hold_out < 0:
            raise ValueError(f"hold_out is a number of prompts from 0 on, got {hold_out!r}")
        answered = sorted(read_answers(Path(file).expanduser()))
        if hold_out >= len(answered):
            raise ValueError(f"hold_out leaves nothing to train on: {file} has {len(answered):,} answers")
        order = np.random.default_rng(0).permutation(len(answered))
        self.held = [answered[number] for number in order[:hold_out]]
        self.trained = [answered[number] for number in order[hold_out:]]
        self.rows, self.seed = rows, seed
        self.photographs: list[Photograph] = []
        if folder is not None and isinstance(rows, ImageRows):
            found = read_photographs(folder)
            self.photographs = [one for one in found if one.seen is not None or not rows.experts]
            if not self.photographs:
                raise ValueError(f"no photograph of {folder} has a scene; pack it with a cache, or leave folder out")

    def examples(self, position: int) -> Iterator[Example]:
        """The examples of one position."""
        for number in range(self.rows.sizes.text_rows if isinstance(self.rows, TextRows) else 1):
            rng = np.random.default_rng((self.seed, position, number, 9))
            turns = [pick(rng, self.trained) for _ in range(self.rows.sizes.questions)]
            if isinstance(self.rows, TextRows) and rng.random() < _ALONE:
                yield Example(dialogue=_spoken(turns[0]), meta=Meta(rng=rng))
            elif isinstance(self.rows, ImageRows) and self.rows.packed and rng.random() < _ALONE:
                yield Example(turns=list(dict.fromkeys(turns)), meta=Meta(rng=rng))
            else:
                yield self.example(list(dict.fromkeys(turns)), rng)

    def held_out(self, count: int) -> list[Example]:
        """Up to `count` of the prompts that are kept from training."""
        return [
            self.example([turn], np.random.default_rng((number, 10))) for number, turn in enumerate(self.held[:count])
        ]

    def example(self, turns: list[tuple[str, str]], rng: np.random.Generator) -> Example:
        """The prompts, with a picture where rows need one."""
        image, scene = self._picture(rng) if isinstance(self.rows, ImageRows) else (None, None)
        return Example(image, scene, turns, Meta(rng=rng))

    def _picture(self, rng: np.random.Generator) -> tuple[np.ndarray, Scene | None]:
        if self.photographs:
            photograph = pick(rng, self.photographs)
            try:
                return pixels_of(photograph.read()), photograph.scene
            except ValueError:
                pass  # a broken photograph is told of by the source that asks about it
        return nothing(rng), made_up(rng, weighted(rng, tuple(SORTS), tuple(SORTS.values())))[1]


def _spoken(turn: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": "user", "content": turn[0]}, {"role": "assistant", "content": turn[1]}]


def read_answers(path: Path) -> list[tuple[str, str]]:
    """Prompts and answers of a file; raises ValueError with one sentence for a file that holds others or none."""
    try:
        lines = lines_of(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"the answers {path} cannot be read ({error.strerror or 'input error'}); make them with "
            "`python -m moai.data.instructions.answer MODEL FILE`"
        ) from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            prompt, answer = record["prompt"], record["answer"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path} line {number} is not in the form {{"prompt": ..., "answer": ...}}') from error
        if not (isinstance(prompt, str) and isinstance(answer, str) and prompt and answer):
            raise ValueError(f"{path} line {number} needs a prompt and an answer, both text")
        found.append((prompt, answer))
    if not found:
        raise ValueError(f"{path} holds no answers")
    return found
