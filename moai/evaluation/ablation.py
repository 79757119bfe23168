"""The ablation of the paper in miniature: `drawn` with parts of the model left out."""

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from moai.assistant import MoAI
from moai.evaluation.answering import Variant, without
from moai.evaluation.chart import bar_chart
from moai.evaluation.drawn.documents import MME_CATEGORIES
from moai.evaluation.drawn.run import run_drawn
from perception import Perception
from perception.files.whole import write_json, write_whole
from perception.registry import kind

STEP1 = Variant("step 1 only")
COLUMNS = {
    "POPE accuracy": ("pope", "accuracy"),
    **{f"MME {category}": ("mme", category, "score") for category in MME_CATEGORIES},
    "TextVQA accuracy": ("textvqa", "accuracy"),
    "MMBench circular": ("mmbench", "circular"),
}
"""What is compared, and where it stands among the scores of `drawn`. MME scores reach 200, all others 100."""
_REMEMBERED = 1000
_BEST = {name: 200.0 if path[0] == "mme" else 100.0 for name, path in COLUMNS.items()}


def ablated(experts: Sequence[str]) -> list[Variant]:
    """What is compared: everything, each of the experts left out, and more of the model left out.

    An expert that is left out does not run: without segmentation there is no colour map either and the scene graph has
    no stuff, without detection there is no scene graph. "aux emptied" keeps the mixers and gives them nothing to read;
    "backbone alone" rests them.
    """
    return [
        Variant(),
        *(Variant(f"without {kind(name).spoken.removeprefix('the ')}", without(name, experts)) for name in experts),
        Variant("aux emptied", ()),
        Variant("backbone alone", moai=False),
        Variant("uniform gates", routing="uniform"),
    ]


def compared(scores: Mapping) -> dict[str, float]:
    """The compared numbers among the scores of one run; those of parts that were not asked are left out."""
    found = {}
    for name, path in COLUMNS.items():
        value = scores
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is not None:
            found[name] = value
    return found


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; the latter is None for a single value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def ablation_table(runs: Mapping[str, Sequence[Mapping]]) -> dict[str, dict[str, dict]]:
    """runs: variant -> scores of `drawn`, one for each evaluation seed. Returns variant -> column -> `mean`, `spread`
    and `values`."""
    table: dict[str, dict[str, dict]] = {}
    for name, results in runs.items():
        rows = [compared(scores) for scores in results]
        table[name] = {}
        for column in COLUMNS:
            values = [row[column] for row in rows if column in row]
            if values:
                mean, spread = mean_and_spread(values)
                table[name][column] = {"mean": mean, "spread": spread, "values": values}
    return table


def ablation_markdown(table: Mapping[str, Mapping[str, Mapping]]) -> str:
    """The table as Markdown, "mean ± spread" in every cell."""
    lines = ["| variant | " + " | ".join(COLUMNS) + " |", "| --- " * (1 + len(COLUMNS)) + "|"]
    for name, row in table.items():
        lines.append(f"| {name} | " + " | ".join(_cell(row.get(column)) for column in COLUMNS) + " |")
    return "\n".join(lines)


def _cell(value: Mapping | None) -> str:
    if value is None:
        return ""
    return f"{value['mean']:.1f}" + ("" if value["spread"] is None else f" ± {value['spread']:.1f}")


def ablate(
    model: str | None,
    folder: Path,
    seeds: int = 3,
    scenes: int = 10,
    step1: str | None = None,
    limit: int | None = None,
    batch_size: int = 8,
    device: str | None = None,
    experts_from: str | None = None,
    perception: Perception | None = None,
    variants: Sequence[Variant] | None = None,
    looks: Mapping[str, Any] | None = None,
) -> str:
    """Runs every variant over the scenes of `seeds` evaluation seeds, and `step1` (a checkpoint's folder) as one more.

    Writes ablation.md, ablation.json and ablation.png into `folder`, beside the answers of every run, and returns the
    Markdown table. A killed run continues where it stopped. `looks` has more for
    `MoAI.from_pretrained`, by name. Raises ValueError with one sentence for bad settings.
    """
    if seeds < 1:
        raise ValueError(f"the number of seeds must be at least 1, got {seeds}")
    more = dict(looks or {})
    first = MoAI.from_pretrained(model, device=device, experts_from=experts_from, perception=perception, **more)
    perception = first.perception
    perception.remember(_REMEMBERED)  # variants with the same experts share what those saw
    assistants = {model: first}
    plan = [(model, variant) for variant in variants or ablated(perception.experts)]
    if step1 is not None:
        assistants[step1] = MoAI.from_pretrained(step1, device=device, perception=perception, memory=more.get("memory"))
        plan.append((step1, STEP1))
    runs: dict[str, list[dict]] = {variant.name: [] for _, variant in plan}
    # Scenes outermost, so that a run that is cut short has compared all variants on the same ones.
    for seed in range(seeds):
        for source, variant in plan:
            part = Path(folder) / re.sub(r"\W+", "-", variant.name) / f"seed-{seed}"
            label = "embedded" if source is None else source
            result = run_drawn(assistants[source], label, part, limit, batch_size, scenes, seed, variant)
            runs[variant.name].append(result["scores"])
    table = ablation_table(runs)
    markdown = ablation_markdown(table)
    settings = {"model": model or "embedded", "step1": step1, "seeds": seeds, "scenes": scenes, "limit": limit}
    write_json(Path(folder) / "ablation.json", settings | {"best": _BEST, "variants": table})
    write_whole(Path(folder) / "ablation.md", markdown + "\n")
    bars = {name: [_bar(row.get(column), _BEST[column]) for column in COLUMNS] for name, row in table.items()}
    title = f"{settings['model']}: {seeds} x {scenes} drawn scenes, mean and standard deviation"
    bar_chart(Path(folder) / "ablation.png", list(COLUMNS), bars, title)
    return markdown


def _bar(value: Mapping | None, best: float) -> tuple[float, float] | None:
    return None if value is None else (100 * value["mean"] / best, 100 * (value["spread"] or 0.0) / best)
