"""`drawn`, as the registry of suites knows it."""

from collections.abc import Mapping

from moai.evaluation.drawn.run import run_drawn
from moai.evaluation.drawn.scores import HEADLINES
from moai.evaluation.suites import Headline, Suite

_MME_BEST = 1200.0


def _headlines(scores: Mapping) -> list[Headline]:
    return [
        Headline(name, key, scores[part][key], _MME_BEST if part == "mme" else 100.0, scores[part].get("questions", 0))
        for part, (name, key) in HEADLINES.items()
        if part in scores
    ]


def _run_in_harness(*args, **settings) -> dict | None:
    from moai.evaluation.lmms.drawn import run_drawn_in_harness

    return run_drawn_in_harness(*args, **settings)


SUITE = Suite(
    "drawn",
    "drawn scenes in the formats of POPE, MME, TextVQA and MMBench; needs no data",
    run_drawn,
    _headlines,
    _run_in_harness,
)
