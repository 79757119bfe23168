"""Suites of questions of our own, beside the published benchmarks. Adding one: its file, and its line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Headline:
    """One number of a suite that reports show: `value` of `best`, measured on `questions`."""

    name: str
    metric: str
    value: float
    best: float
    questions: int


@dataclass(frozen=True)
class Suite:
    """One suite, `name`d as on the command line and told in a line by `about`.

    `run(assistant, model_name, folder, limit=, batch_size=, scenes=, evaluation_seed=)` answers and scores it, keeps
    answers in `folder` as they come, and returns what `scores.json` holds; `run_in_harness` does the same through
    lmms-eval, and may return None in all but the first of several processes. `headlines` picks from the scores.
    """

    name: str
    about: str
    run: Callable[..., dict]
    headlines: Callable[[Mapping], list[Headline]]
    run_in_harness: Callable[..., dict | None] | None = None


# By name, since a suite brings its data along.
SUITES: dict[str, str] = {
    "drawn": "moai.evaluation.drawn.suite",
}


def suite(name: str) -> Suite:
    """The suite of this name, which the module named above declares as its `SUITE`."""
    return import_module(SUITES[name]).SUITE
