"""Turns that make one answer out of a model's own drafts (Self-MoA, arXiv 2502.00674), as a source of training data."""

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from moai.data.draws import pick, shuffled, weighted
from moai.data.example import Example, Meta, Source
from moai.data.rows import ImageRows, Rows
from moai.models.prompts import aggregate_question
from perception.files.whole import lines_of

QUESTIONS = 8
"""Questions of a picture that drafts are made of, however many of them a row takes."""
_SURE, _MOST, _MINORITY, _NONE, _ALL_WRONG = 1.0, 3.0, 6.0, 3.0, 6.0
"""How often, beside one where all are right, a question is drawn of whose drafts most are right, a minority, none, or
none while all say the same."""
_TURNED = 0.25
"""Of turns about a question with wrong drafts, those where one of these is said by all but one or by all."""
_FEWEST, _SO_FAR, _RESERVE = 2, 0.25, 3
"""The fewest drafts of a turn, how often an answer so far stands before them, and up to how many times."""


@dataclass(frozen=True)
class Asked:
    """A question about the picture at a position of a source, with its right answer, a model's drafts, and which of
    them are right."""

    position: int
    question: str
    answer: str
    drafts: tuple[str, ...]
    right: tuple[bool, ...]

    @property
    def weight(self) -> float:
        """How often it is drawn, beside a question whose drafts are all right."""
        share = sum(self.right) / len(self.right)
        if not share:
            return _ALL_WRONG if len(set(self.drafts)) == 1 else _NONE
        return _SURE if share == 1 else _MINORITY if share <= 0.5 else _MOST


class Drafts:
    """Examples that ask for one answer out of drafts, endless, in random order; hard cases more often.

    file: what `python -m moai.training.drafts` writes about the pictures of the source `of` (its `name` and settings);
    of the pictures `hold_out` are kept from training. Raises ValueError for a file that holds no drafts, for rows
    without pictures, and as that source does.
    """

    class_names: tuple[str, ...] = ()

    def __init__(self, rows: Rows, seed: int, file: str | Path, of: Mapping | None = None, hold_out: int = 0) -> None:
        if not isinstance(rows, ImageRows):
            raise ValueError("drafts are weighed against pictures, which this stage does not show")
        if isinstance(hold_out, bool) or not isinstance(hold_out, int) or hold_out < 0:
            raise ValueError(f"hold_out is a number of pictures from 0 on, got {hold_out!r}")
        first, asked = read_drafts(Path(file).expanduser())
        self.source = source_of(of or {"name": "drawn"}, rows, first)
        grouped: dict[int, list[Asked]] = defaultdict(list)
        for one in asked:
            grouped[one.position].append(one)
        pictures = list(grouped.values())
        if hold_out >= len(pictures):
            raise ValueError(f"hold_out leaves nothing to train on: {file} is about {len(pictures):,} pictures")
        self.held, self.trained = pictures[:hold_out], pictures[hold_out:]
        self.weights = np.cumsum([sum(one.weight for one in some) for some in self.trained])
        self.rows, self.seed = rows, seed

    def examples(self, position: int) -> Iterator[Example]:
        """The example of one position: questions about one picture."""
        rng = np.random.default_rng((self.seed, position, 12))
        place = int(np.searchsorted(self.weights, rng.random() * self.weights[-1], side="right"))
        asked = self.trained[place]
        chosen = [weighted(rng, asked, [one.weight for one in asked]) for _ in range(self.rows.sizes.questions)]
        yield from self._about(asked[0].position, [turn(one, rng) for one in chosen], rng)

    def held_out(self, count: int) -> list[Example]:
        """Up to `count` turns about pictures that are kept from training, one an example."""
        kept = [one for some in self.held for one in some][:count]
        rngs = [np.random.default_rng((number, 13)) for number in range(len(kept))]
        return [
            example
            for one, rng in zip(kept, rngs, strict=True)
            for example in self._about(one.position, [turn(one, rng)], rng)
        ]

    def _about(self, position: int, turns: list[tuple[str, str]], rng: np.random.Generator) -> Iterator[Example]:
        for example in self.source.examples(position):
            meta = Meta(example.meta.experts, windows=False, rng=rng)
            yield replace(example, turns=list(dict.fromkeys(turns)), dialogue=(), meta=meta)


def turn(asked: Asked, rng: np.random.Generator) -> tuple[str, str]:
    """What a model is asked that has these drafts, or some of them, before it; and the right answer."""
    drafts = list(asked.drafts)
    wrong = [text for text, right in zip(drafts, asked.right, strict=True) if not right]
    if wrong and rng.random() < _TURNED:
        kept = pick(rng, drafts)
        drafts = [kept, *[pick(rng, wrong)] * (len(drafts) - 1)]
    fewest = min(_FEWEST, len(drafts))
    drafts = shuffled(rng, drafts)[: fewest + int(rng.random() * (len(drafts) - fewest + 1))]
    best, times = None, 0
    if rng.random() < _SO_FAR:
        best, times = pick(rng, asked.drafts), 1 + int(rng.random() * _RESERVE)
    return aggregate_question(
        asked.question, drafts[: len(asked.drafts) - times] or drafts[:1], best, times
    ), asked.answer


def source_of(settings: Mapping, rows: ImageRows, seed: int) -> Source:
    """The source that a file of drafts is about, with `QUESTIONS` of each picture; raises ValueError as it does."""
    from moai.data.registry import builder

    given = dict(settings)
    make: Callable[..., Source] = builder(given.pop("name", ""))
    own = copy.copy(rows)
    own.sizes = replace(rows.sizes, questions=QUESTIONS)
    return make(own, seed, **given)


def read_drafts(path: Path) -> tuple[int, list[Asked]]:
    """The seed of the source that a file is about, and what was asked; ValueError with one sentence for other files."""
    try:
        lines = lines_of(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"the drafts {path} cannot be read ({error.strerror or 'input error'}); make them with "
            "`python -m moai.training.drafts --model MODEL`"
        ) from error
    found, seeds = [], set()
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            drafts, right = tuple(record["drafts"]), tuple(record["right"])
            one = Asked(record["position"], record["question"], record["answer"], drafts, right)
            seeds.add(record["seed"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} line {number} is not what `python -m moai.training.drafts` writes") from error
        if not drafts or len(drafts) != len(right) or not all(isinstance(text, str) for text in drafts):
            raise ValueError(f"{path} line {number} needs drafts, all text, and for each whether it is right")
        found.append(one)
    if len(seeds) > 1:
        raise ValueError(f"{path} is about pictures of several seeds ({', '.join(map(str, sorted(seeds)))}); keep one")
    if not found:
        raise ValueError(f"{path} holds no drafts")
    return seeds.pop(), found
