"""What the tasks and actors of a batch do: read and decode, look, answer. Knows nothing of Ray."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from moai.serving.batch.inputs import Row, Unit
from moai.serving.batch.outputs import line_of
from moai.terminal import quiet_libraries, sentence
from perception.memory import give_back_large

if TYPE_CHECKING:
    from moai.assistant import Answer
    from perception import Scene

BLOCK_BYTES = 16 * 2**20
"""Decoded pictures that travel together."""


@dataclass(frozen=True)
class Asking:
    """How a batch is answered: arguments of `MoAI.from_pretrained` and `ask`, and what is kept of the answers.

    `batch` questions go through the model at once; `threads` of the processor are for each worker.
    """

    model: str | None = None
    experts: tuple[str, ...] | None = None
    experts_from: str | None = None
    looking: Mapping[str, Any] = field(default_factory=dict)
    quantize: str | None = None
    memory: str | None = None
    device: str | None = None
    max_new_tokens: int = 96
    gates: bool = False
    batch: int = 16
    threads: int = 1

    @property
    def beside(self) -> str | None:
        """The device of the experts."""
        return self.device if self.memory is None else "cpu"


@dataclass
class Work:
    """A row on its way: its pixels, then its scene, and in the end its line of the output."""

    row: Row
    pixels: np.ndarray | None = None
    scene: "Scene | None" = None
    seconds: dict[str, float] = field(default_factory=dict)


def decode(units: Sequence[tuple[Unit, Sequence[range]]]) -> Iterator[list[Work]]:
    """Units with the ranges of rows that are wanted -> lots of their rows, with pixels or with an error.

    Raises ValueError with one sentence for a unit whose file is gone.
    """
    lot: list[Work] = []
    size = 0
    for unit, wanted in units:
        for row in unit.rows():
            if not any(row.number in part for part in wanted):
                continue
            lot.append(decoded(row))
            pixels = lot[-1].pixels
            size += 0 if pixels is None else pixels.nbytes
            if size >= BLOCK_BYTES:
                yield lot
                lot, size = [], 0
    if lot:
        yield lot


def decoded(row: Row) -> Work:
    """A row with its picture's pixels in place of the picture; a bad picture is the row's error."""
    from perception.images import pixels_of

    if row.error is not None:
        return Work(row)
    started = time.perf_counter()
    try:
        pixels = np.asarray(pixels_of(row.picture))
    except Exception as error:
        return Work(replace(row, picture=None, error=sentence(error)))
    return Work(replace(row, picture=None), pixels, seconds={"load": time.perf_counter() - started})


class Experts:
    """An actor that holds the experts: rows with pixels -> rows with scenes."""

    def __init__(self, asking: Asking):
        _prepare(asking)
        from moai.presets import named_preset
        from perception import Perception

        preset = asking.experts_from or named_preset(asking.model)
        self.perception = Perception(
            asking.experts, experts_from=preset, cache_size=0, device=asking.beside, **asking.looking
        )

    def __call__(self, works: list[Work]) -> list[Work]:
        """Fills in the scenes, or errors."""
        self._look([work for work in works if work.row.error is None])
        return works

    def _look(self, works: list[Work]) -> None:
        from perception.images import pixels_of

        started = time.perf_counter()
        try:
            scenes = self.perception.batch([pixels_of(work.pixels) for work in works])
        except Exception as error:
            if len(works) == 1:
                works[0].row = replace(works[0].row, error=sentence(error))
            else:
                for work in works:
                    self._look([work])
            return
        for work, scene in zip(works, scenes, strict=True):
            work.scene = scene
            work.seconds["perception"] = (time.perf_counter() - started) / len(works)


class Seen:
    """In an assistant's place of perception: scenes that were seen elsewhere, by the digests of their pictures."""

    def __init__(self, experts: Sequence[str]):
        self.experts = tuple(experts)
        self.scenes: dict[str, Scene] = {}

    def batch(self, pictures: Sequence, experts: Sequence[str] | None = None) -> "list[Scene]":
        """The scene of each picture."""
        return [self.scenes[picture.digest] for picture in pictures]


class Answers:
    """An actor that holds the model: rows with scenes -> lines of the output with their row numbers."""

    def __init__(self, asking: Asking, experts: Sequence[str]):
        _prepare(asking)
        from moai.assistant import Decoding, MoAI

        Decoding(max_new_tokens=asking.max_new_tokens)
        self.asking, self.seen = asking, Seen(experts)
        self.assistant = MoAI.from_pretrained(
            asking.model,
            device=asking.device,
            quantize=asking.quantize,
            memory=asking.memory,
            perception=self.seen,
        )

    def __call__(self, works: list[Work]) -> list[tuple[int, bytes]]:
        """The rows with their answers, or the sentences of what is wrong with them."""
        lines = [(work.row.number, line_of(failed(work.row))) for work in works if work.row.error is not None]
        good = [work for work in works if work.row.error is None]
        for start in range(0, len(good), self.asking.batch):
            lines += self._answer(good[start : start + self.asking.batch])
        return lines

    def _answer(self, works: list[Work]) -> list[tuple[int, bytes]]:
        from perception.images import pixels_of

        pixels = [pixels_of(work.pixels) for work in works]
        self.seen.scenes = {one.digest: work.scene for one, work in zip(pixels, works, strict=True)}
        try:
            answers = self.assistant.ask_batch(
                pixels, [work.row.question for work in works], max_new_tokens=self.asking.max_new_tokens
            )
        except Exception as error:
            if len(works) > 1:  # one of them is wrong, or they are too much at once
                return [line for work in works for line in self._answer([work])]
            row = replace(works[0].row, error=sentence(error))
            return [(row.number, line_of(failed(row)))]
        return [
            (work.row.number, line_of(told(work, answer, len(works), self.asking.gates)))
            for work, answer in zip(works, answers, strict=True)
        ]


class Both:
    """An actor that holds experts and model: rows with pixels -> lines of the output."""

    def __init__(self, asking: Asking):
        self.experts = Experts(asking)
        self.answers = Answers(asking, self.experts.perception.experts)

    def __call__(self, works: list[Work]) -> list[tuple[int, bytes]]:
        """Rows with pixels in, lines with their row numbers out."""
        return self.answers(self.experts(works))


def told(work: Work, answer: "Answer", shared_by: int, gates: bool) -> dict[str, Any]:
    """A row of the output; `timings` are seconds, of what a batch of `shared_by` did together this row's share."""
    from perception.verbalize import verbalize

    record = answer.scene.to_dict()
    evidence = {"words": verbalize(answer.scene), "scene": record}
    if gates:
        evidence["gates"] = [vars(gate) for gate in answer.gates]
    shares = {name: answer.timings[name] / shared_by for name in ("encode", "generate") if name in answer.timings}
    warnings = record.pop("warnings")
    record.pop("timings")
    return named(work.row) | {
        "answer": answer.text,
        "evidence": evidence,
        "timings": work.seconds | shares,
        "warnings": warnings,
    }


def failed(row: Row) -> dict[str, Any]:
    """A row of the output for one that has no answer."""
    return named(row) | {"error": row.error}


def named(row: Row) -> dict[str, Any]:
    """What tells which row it is."""
    known = {"id": row.id, "picture": row.shown, "question": row.question}
    return {"row": row.number} | {name: value for name, value in known.items() if value is not None}


def _prepare(asking: Asking) -> None:
    quiet_libraries()
    give_back_large()
    import torch

    os.environ["OMP_NUM_THREADS"] = str(asking.threads)  # experts that have no torch read it too
    torch.set_num_threads(asking.threads)
