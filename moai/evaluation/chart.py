"""Bar charts of scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def bar_chart(
    path: Path,
    groups: Sequence[str],
    bars: Mapping[str, Sequence[tuple[float, float] | None]],
    title: str,
) -> None:
    """Writes a picture with one row of bars for each group; bars[name][i] is (percent, spread), or None where a series
    has no value. Raises ValueError, with one sentence, when matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("charts need matplotlib; pip install matplotlib") from error
    figure = Figure(figsize=(8, 1 + len(groups) * (0.15 + 0.11 * len(bars))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    height = 0.8 / max(1, len(bars))
    for number, (name, values) in enumerate(bars.items()):
        shown = [(place, *value) for place, value in enumerate(values) if value is not None]
        axes.barh(
            [place + (number + 0.5) * height - 0.4 for place, _, _ in shown],
            [mean for _, mean, _ in shown],
            height,
            xerr=[spread for _, _, spread in shown] if any(spread for _, _, spread in shown) else None,
            label=name,
            error_kw={"elinewidth": 0.8},
        )
    axes.set_yticks(range(len(groups)), groups)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent of the best possible score")
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if len(bars) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
