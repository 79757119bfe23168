"""Scores as Markdown, ready for a page of results."""

from collections.abc import Mapping

from moai.evaluation.photos.item import MAJORITY, RULE, task
from moai.evaluation.photos.scores import ALL
from moai.evaluation.photos.tasks import general
from moai.evaluation.photos.ways import FULL

BESIDE = (MAJORITY, RULE, "question", "backbone", "empty", "as written", "words", "tuned")
"""Ways that stand in the first table beside the whole model."""
_MEASURES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "yes_ratio": "share of yes",
    "wups_0.9": "WUPS 0.9",
    "wups_0.0": "WUPS 0.0",
    "bleu_4": "BLEU-4",
    "invented": "invented things a description",
}


def markdown(scores: Mapping, command: str = "") -> str:
    """Tables of all scores: groups in every way, what experts give, other measures, wordings, general text."""
    parts = [f"```\n{command}\n```" if command else "", _first(scores), _experts(scores), _measures(scores)]
    parts += [_wordings(scores), _general(scores), *(f"{name}: {why}." for name, why in scores["left_out"].items())]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rows(scores: Mapping):
    for name, groups in scores["tasks"].items():
        if name not in ("wordings", "general"):
            for group, ways in groups.items():
                yield name, group, ways


def _label(name: str, group: str) -> str:
    return name if group == ALL else f"{name}, {group}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]) if rows else ""


def _first(scores: Mapping) -> str:
    asked = {way for *_, ways in _rows(scores) for way in ways}
    beside = [way for way in BESIDE if way in asked]
    rows = []
    for name, group, ways in _rows(scores):
        some = next(iter(ways.values()))
        cells = [_number(ways.get(way), name) for way in beside]
        rows.append([_label(name, group), str(some["questions"]), *cells, _spread(ways.get(FULL), name)])
    means = scores["mean"]
    if means:
        named = "mean of accuracies (" + ", ".join(next(iter(means.values()))["tasks"]) + ")"
        rows.append([named, "", *(_number(means.get(way), "") for way in beside), _spread(means.get(FULL), "")])
        ahead = [means[way].get("ahead") if way in means else None for way in beside]
        rows.append(["&nbsp;&nbsp;MoAI is ahead by", "", *("" if one is None else _points(one) for one in ahead), ""])
    return _table(["task", "questions", *beside, "MoAI (95 % interval)"], rows)


def _experts(scores: Mapping) -> str:
    asked = list(dict.fromkeys(way for *_, ways in _rows(scores) for way in ways if way.startswith("without ")))
    rows = [
        [_label(name, group), _number(ways.get(FULL), name)] + [_number(ways.get(way), name) for way in asked]
        for name, group, ways in _rows(scores)
        if group == ALL or ALL not in scores["tasks"][name]
    ]
    return _table(["task", "MoAI", *asked], rows) if asked else ""


def _measures(scores: Mapping) -> str:
    rows = [
        [
            _label(name, group),
            _MEASURES[key],
            *(f"{ways[way][key]:.3f}" if way in ways else "" for way in _compared(scores)),
        ]
        for name, group, ways in _rows(scores)
        if group == ALL or ALL not in scores["tasks"][name]
        for key in _MEASURES
        if any(key in numbers for numbers in ways.values())
    ]
    return _table(["task", "measure", *_compared(scores)], rows)


def _compared(scores: Mapping) -> list[str]:
    asked = {way for *_, ways in _rows(scores) for way in ways}
    return [way for way in (*BESIDE, FULL) if way in asked]


def _wordings(scores: Mapping) -> str:
    groups = scores["tasks"].get("wordings", {})
    rows = []
    for wording, ways in groups.items():
        numbers = ways.get(FULL)
        if numbers is not None:
            told = (
                [_points(numbers["points"]), f"{100 * numbers['same_answer']:.1f}"] if "points" in numbers else ["", ""]
            )
            rows.append([wording, str(numbers["questions"]), _spread(numbers, "wordings"), *told])
    return _table(["the same questions", "questions", "right", "points", "same answer"], rows)


def _general(scores: Mapping) -> str:
    ways = scores["tasks"].get("general", {}).get(ALL, {})
    rows = [
        [way, str(numbers["questions"]), _spread(numbers, "general") if "right" in numbers else "",
         f"{100 * numbers.get('right', numbers['mean']):.1f}"]
        for way, numbers in ways.items()
        if way in (general.WAY, general.PLAIN)
    ]  # fmt: skip
    return _table(["general questions", "questions", "as the plain model", "right"], rows)


def _points(numbers: Mapping) -> str:
    mean, low, high = (f"{100 * numbers[key]:+.1f}" for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def _scale(name: str) -> tuple[float, int]:
    return (100, 1) if not name or task(name).unit == "%" else (1, 3)


def _number(numbers: Mapping | None, name: str) -> str:
    factor, digits = _scale(name)
    return "" if numbers is None else f"{factor * numbers['mean']:.{digits}f}"


def _spread(numbers: Mapping | None, name: str) -> str:
    if numbers is None:
        return ""
    factor, digits = _scale(name)
    mean, low, high = (f"{factor * numbers[key]:.{digits}f}" for key in ("mean", "low", "high"))
    return f"**{mean}** ({low} to {high})"
