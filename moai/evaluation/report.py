"""Reports on finished runs: Markdown, JSON and a chart, beside what the paper's authors published."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from moai.evaluation.catalogue import BENCHMARKS, PUBLISHED_SOURCE
from moai.evaluation.chart import bar_chart
from moai.evaluation.suites import SUITES, suite
from perception.files.whole import write_json, write_whole

_BEST = {"perception": 2000.0, "cognition": 800.0}
"""Best possible scores that are not 100."""


@dataclass(frozen=True)
class Row:
    """One headline score: `ours` of `best`, measured on `questions`; `published` is the authors' for MoAI-7B."""

    benchmark: str
    metric: str
    ours: float
    best: float
    questions: int
    published: float | None = None


def headline_rows(result: dict) -> list[Row]:
    """The headline scores of one result as `run` writes it into scores.json; none for a judged one without a judge."""
    scores = result["scores"]
    name = result["benchmark"]
    if name in SUITES:
        headlines = suite(name).headlines(scores)
        return [Row(f"{name}: {one.name}", one.metric, one.value, one.best, one.questions) for one in headlines]
    benchmark = BENCHMARKS[name]
    published = dict(zip(benchmark.headline, benchmark.published, strict=False))
    return [
        Row(benchmark.title, key, scores[key], _BEST.get(key, 100.0), _asked(scores), published.get(key))
        for key in benchmark.headline
        if key in scores
    ]


def _asked(scores: dict) -> int:
    return int(scores.get("questions", 0))


def _flat(scores: dict, path: tuple[str, ...] = ()) -> Iterable[tuple[str, float]]:
    for name, value in scores.items():
        if isinstance(value, dict):
            yield from _flat(value, (*path, name))
        else:
            yield " / ".join((*path, name)), value


def scores_table(result: dict) -> str:
    """Every score of one result as a Markdown table."""
    lines = [f"| {result['benchmark']} | {result['model']} |", "| --- | --- |"]
    lines += [f"| {name} | {_number(value)} |" for name, value in _flat(result["scores"])]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.1f}"


def read_results(folders: Sequence[Path]) -> list[dict]:
    """The scores.json files in these folders and one level below; raises ValueError, with one sentence, where there is
    none or one is damaged."""
    results = []
    for folder in folders:
        found = sorted({*folder.glob("scores.json"), *folder.glob("*/scores.json")})
        if not found:
            raise ValueError(f"{folder} holds no scores; give a folder that `run` wrote")
        for path in found:
            try:
                result = json.loads(path.read_text())
                headline_rows(result)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{path} is not a result that `run` wrote; remove it, or run again") from error
            results.append(result)
    return results


def write_report(folders: Sequence[Path], target: Path) -> str:
    """Writes report.md, report.json and report.png into `target` and returns the Markdown.

    Raises ValueError, with one sentence, when a folder holds no results.
    """
    results = read_results(folders)
    rows = [(result["model"], row) for result in results for row in headline_rows(result)]
    lines = [
        "# Zero-shot benchmarks",
        "",
        f"| benchmark | metric | questions | model | ours | MoAI-7B ({PUBLISHED_SOURCE}) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for model, row in rows:
        cells = (row.benchmark, row.metric, row.questions, model, _number(row.ours), _number(row.published))
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "![scores](report.png)", "", "## Every score", ""]
    for result in results:
        cut = f", the first {result['limit']} questions" if result.get("limit") else ""
        lines += [f"### {result['benchmark']}, {result['model']}{cut}", "", scores_table(result), ""]
    text = "\n".join(lines)
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / "report.md", text)
    headlines = [{"model": model} | asdict(row) for model, row in rows]
    write_json(
        target / "report.json", {"headlines": headlines, "published_source": PUBLISHED_SOURCE, "results": results}
    )
    groups = list(dict.fromkeys(f"{row.benchmark}, {row.metric}" for _, row in rows))
    models = list(dict.fromkeys(model for model, _ in rows))
    values = {(model, f"{row.benchmark}, {row.metric}"): (100 * row.ours / row.best, 0.0) for model, row in rows}
    bars = {model: [values.get((model, group)) for group in groups] for model in models}
    published = {
        f"{row.benchmark}, {row.metric}": (100 * row.published / row.best, 0.0) for _, row in rows if row.published
    }
    if published:
        bars["MoAI-7B, published"] = [published.get(group) for group in groups]
    bar_chart(target / "report.png", groups, bars, "Zero-shot benchmarks")
    return text
