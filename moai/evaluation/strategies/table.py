"""Tables of a run: settings are chosen on a quarter of the questions, and reported on the others."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from moai.evaluation.metrics.bootstrap import interval
from moai.evaluation.strategies.asking import Said, aggregated, choice, read, seconds_of
from moai.evaluation.strategies.questions import Asked, divided

COUNTS = (1, 6, 12, 30)
"""Numbers of drafts that are reported, as far as there are so many."""


def report(
    asked: Sequence[Asked], answers: Mapping[str, str], command: str, beside: Mapping[str, str] | None = None
) -> str:
    """Markdown: accuracies beside the greedy answer with paired intervals, cost, and accuracy by agreement; of another
    model's answers, `beside`, the greedy ones."""
    dev, test = divided(asked)
    names = list(dict.fromkeys(key.split("|")[0] for key in answers))
    drafted = _best([name for name in names if name.startswith("drafts ")], dev, answers)
    lines = [
        f"`{command}`", "",
        f"{len(test)} questions; temperature and strengths were chosen on {len(dev)} others. Greedy answers "
        f"{_percent(np.mean(_marks('greedy', test, answers)))}. Intervals are 95 %, of the paired difference, over "
        "pictures.", "",
        "| way | right | beside greedy | changed answers | tokens | seconds a question |",
        "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    lines.append(_row("greedy", test, answers, _firsts("greedy", test, answers), [("greedy", 1)]))
    if beside is not None:
        lines.append(
            _row("greedy answer of the other model", test, answers, _firsts("greedy", test, beside), [], False)
        )
    if drafted is not None:
        every = {one.key: read(answers[f"{drafted}|{one.key}"]) for one in test}
        most = min(map(len, every.values()))
        for count in [count for count in COUNTS if count <= most]:
            texts = {key: choice(drafts[:count])[0] for key, drafts in every.items()}
            label = f"{drafted}: {'one draft' if count == 1 else f'vote of {count}'}"
            lines.append(_row(label, test, answers, texts, [(drafted, count)], count == most))
            if count > 1:
                lines.append(_oracle(f"{drafted}: best of {count} (oracle)", test, answers, every, count))
        turns = [(count, aggregated(drafted, count)) for count in range(1, most + 1)]
        turns = [(count, name) for count, name in turns if name in names]
        for count, name in turns:
            if count in (*COUNTS, most):
                texts = _firsts(name, test, answers)
                cost = [(drafted, count), *((one, 1) for number, one in turns if number <= count)]
                lines.append(_row(f"{drafted}: aggregate of {count}", test, answers, texts, cost, count == most))
    for weak in dict.fromkeys(name.split(" ")[1] for name in names if name.startswith("contrast ")):
        chosen = _best([name for name in names if name.startswith(f"contrast {weak} ")], dev, answers)
        assert chosen is not None
        lines.append(_row(chosen, test, answers, _firsts(chosen, test, answers), [(chosen, 1)]))
    if drafted is not None and most > 1:
        lines += ["", *_calibration(test, every, min(6, most))]
    return "\n".join(lines) + "\n"


def _firsts(name: str, asked: Sequence[Asked], answers: Mapping[str, str]) -> dict[str, str]:
    return {one.key: read(answers[f"{name}|{one.key}"])[0].text for one in asked}


def _marks(name: str, asked: Sequence[Asked], answers: Mapping[str, str]) -> list[float]:
    """Marks of a way's answers, for drafts the mean of all."""
    return [float(np.mean([one.mark(said.text) for said in read(answers[f"{name}|{one.key}"])])) for one in asked]


def _best(names: Sequence[str], dev: Sequence[Asked], answers: Mapping[str, str]) -> str | None:
    """The way with the best answers on `dev`, for drafts by vote; the first of equals."""

    def right(name: str) -> float:
        said = {one.key: choice(read(answers[f"{name}|{one.key}"]))[0] for one in dev}
        return float(np.mean([one.mark(said[one.key]) for one in dev]))

    return max(names, key=right) if names else None


def _row(
    label: str, test: Sequence[Asked], answers: Mapping[str, str], texts: Mapping[str, str],
    cost: Sequence[tuple[str, int]], timed: bool = True,
) -> str:  # fmt: skip
    """`cost`: the ways that took part, and how many drafts of each."""
    greedy = _firsts("greedy", test, answers)
    marks = [one.mark(texts[one.key]) for one in test]
    ahead = [mark - one.mark(greedy[one.key]) for one, mark in zip(test, marks, strict=True)]
    mean, low, high = interval([ahead], [[one.about for one in test]])
    changed = sum(texts[one.key].strip() != greedy[one.key].strip() for one in test)
    tokens = sum(
        np.mean([sum(draft.tokens for draft in read(answers[f"{name}|{one.key}"])[:count]) for one in test])
        for name, count in cost
    )
    spent = f"{tokens:.0f}" if cost else ""
    seconds = ""
    if timed:  # drafts of a prompt were made together: what fewer would take was not measured
        asked = sum(key.startswith(f"{cost[0][0]}|") and "|seconds|" not in key for key in answers)
        seconds = f"{sum(seconds_of(name, answers) for name, _ in cost) / asked:.3f}"
    beside = "" if label == "greedy" else f"{100 * mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    return f"| {label} | {_percent(np.mean(marks))} | {beside} | {changed} | {spent} | {seconds} |"


def _oracle(
    label: str, test: Sequence[Asked], answers: Mapping[str, str], every: Mapping[str, list[Said]], count: int
) -> str:
    marks = [max(one.mark(said.text) for said in every[one.key][:count]) for one in test]
    return f"| {label} | {_percent(np.mean(marks))} |  |  |  |  |"


def _calibration(test: Sequence[Asked], every: Mapping[str, list[Said]], count: int) -> list[str]:
    """Accuracy of the vote by how many drafts agree."""
    groups: dict[int, list[float]] = defaultdict(list)
    for one in test:
        text, votes = choice(every[one.key][:count])
        groups[votes].append(one.mark(text))
    lines = [f"| of {count} drafts agree | questions | right |", "| --- | --- | --- |"]
    return lines + [
        f"| {votes} | {len(groups[votes])} | {_percent(np.mean(groups[votes]))} |" for votes in sorted(groups)[::-1]
    ]


def _percent(share) -> str:
    return f"{100 * float(share):.1f} %"
