"""A batch from its beginning to its end: what is asked, what is done already, and the rest."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np

from moai.serving.batch.folder import RunFolder
from moai.serving.batch.inputs import Source, Unit, source_of
from moai.serving.batch.outputs import line_of
from moai.serving.batch.pipeline import Layout, lines
from moai.serving.batch.stages import Asking, failed
from moai.serving.cluster import ray_package, running
from weights import DEFAULT_MODEL, WEIGHTS, embedded_models

MIN_PART, PARTS = 16, 20_000
"""Rows of a part are at least so many, and more where there would be more parts than this."""

FEW = 64
"""Rows that are tried one by one even where no other was answered."""
DEADLY = "the worker that looked at this picture died, again and again"
Wanted = tuple[Unit, list[range]]
"""A unit, and which of its rows are to be answered."""


@dataclass(frozen=True)
class Summary:
    """What became of a batch: its `rows`, those that were answered now and their seconds, and where the answers are."""

    rows: int
    new: int
    seconds: float
    answers: Path


def answer_all(
    source: str | Path,
    out: str | Path,
    asking: Asking,
    *,
    question: str | None = None,
    images: str | Path | None = None,
    form: str = "jsonl",
    workers: int | None = None,
    address: str | None = None,
    told: Callable[[int, int], None] = lambda done, rows: None,
) -> Summary:
    """Answers the rows of `source` (`moai.serving.batch.inputs.source_of`) into the folder `out`.

    `told` hears of every row that is done: how many there are, of how many. What an earlier run of the same batch did
    is not done again. Raises ValueError with one sentence for a bad source, model, folder or cluster.
    """
    ray_package("moai batch")
    size = MIN_PART
    found = source_of(source, question, images, size)
    if found.count > MIN_PART * PARTS:
        size = -(-found.count // PARTS)
        found = source_of(source, question, images, size)
    experts, settings = _settings(asking, found, question, form, size)
    started = time.monotonic()
    with RunFolder(out, settings, found.count, size) as folder:
        done = folder.done()
        missing = [] if folder.finished else _missing(found, size, done)
        there = found.count - sum(len(part) for _, wanted in missing for part in wanted)
        told(there, found.count)
        new = 0
        if missing:
            with running("moai batch", address) as ray:
                layout = Layout.of(ray, workers, asking.device == "cpu")
                for row, line in _every_line(ray, missing, asking, experts, layout, found.count):
                    folder.keep(row, line)
                    new += 1
                    told(there + new, found.count)
        folder.finish()
        return Summary(found.count, new, time.monotonic() - started, folder.answers)


def _every_line(
    ray: ModuleType, missing: Sequence[Wanted], asking: Asking, experts: Sequence[str], layout: Layout, count: int
) -> Iterator[tuple[int, bytes]]:
    """A line for each row: those at which workers died are tried once more alone, and then are errors."""
    left = np.zeros(count, bool)
    for _, wanted in missing:
        for part in wanted:
            left[part.start : part.stop] = True
    some = False
    for way in (asking, replace(asking, batch=1)):
        for row, line in lines(ray, missing, way, experts, layout):
            left[row] = False
            some = True
            yield row, line
        if not some and left.sum() > FEW:
            raise ValueError("the workers died before they answered anything, perhaps for want of memory; use fewer")
        alone = [(unit, row) for unit, wanted in missing for part in wanted for row in part if left[row]]
        missing = [(unit, [range(row, row + 1)]) for unit, row in alone]
        if not missing:
            return
    for unit, number in alone:
        row = next(one for one in unit.rows() if one.number == number)
        yield number, line_of(failed(replace(row, error=DEADLY)))


def _missing(source: Source, size: int, done: set[int]) -> list[Wanted]:
    """The units that have rows of parts that are not done, with these rows."""
    missing = []
    for unit in source.units:
        end = unit.first + unit.count
        parts = [number for number in range(unit.first // size, -(-end // size)) if number not in done]
        wanted = [range(max(number * size, unit.first), min((number + 1) * size, end)) for number in parts]
        if wanted:
            missing.append((unit, wanted))
    return missing


def _settings(asking: Asking, source: Source, question: str | None, form: str, size: int) -> tuple[Sequence[str], dict]:
    """The experts' names, and what a folder's answers depend on; the model and all experts count by their contents."""
    from moai.presets import named_preset
    from perception import Perception
    from perception.cache.identity import contents_digest, experts_digest, experts_record

    model = _folder_of(asking.model)
    perception = Perception(asking.experts, experts_from=asking.experts_from or named_preset(model), **asking.looking)
    record = experts_record({one: perception.entries[one] for one in perception.experts})
    return perception.experts, {
        "input": f"{source.count} rows of {source.kind} ({source.digest})",
        "question": question,
        "model": f"{model.name} ({contents_digest(model)})",
        "experts": f"{', '.join(perception.experts)} ({experts_digest(record)})",
        "quantize": asking.quantize,
        "max_new_tokens": asking.max_new_tokens,
        "gates": asking.gates,
        "format": form,
        "part": size,
    }


def _folder_of(model: str | None) -> Path:
    """Where a model lies. This process needs neither torch nor transformers for one that is here."""
    if model is None:
        return DEFAULT_MODEL
    if (folder := Path(model).expanduser()).is_dir():
        return folder.resolve()
    if model in embedded_models():
        return WEIGHTS / model
    from moai.models.released import folder_of

    return folder_of(model)
