"""What the cells say together, as Markdown, with what would have refuted it."""

import statistics
from collections.abc import Iterable, Mapping
from itertools import groupby

from moai.profiling.cells import Cells, Figures
from moai.profiling.sparse.arms import ARMS
from moai.profiling.sparse.experiments import FINE

COARSEST = "0+16 top-2"
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""97.5 % points of Student's t by the number of values."""


def tables(cells: Cells) -> str:
    """A table of each experiment that has cells."""
    parts = []
    if arms := list(cells.of("arms")):
        parts += [arms_table(arms)]
    if bounded := list(cells.of("capacity")):
        parts += [capacity_table(bounded, arms)]
    if pruned := list(cells.of("prune")):
        parts += [prune_table(pruned)]
    return "\n\n".join(parts)


def arms_table(found: list[Figures]) -> str:
    """Loss and pace of each arm, and what it loses without an expert."""
    lines = ["| arm | parameters | held-out loss | ms a step | without shared | swapped | without routed |"]
    lines += ["| --- |" + " ---: |" * 6]
    arms = {arm: [one for one in found if one["arm"] == arm] for arm in ARMS}
    for arm, rows in arms.items():
        if rows:
            missing = [_spread(one["without"].get(what) for one in rows) for what in ("shared", "swapped", "routed")]
            lines.append(
                f"| {arm} | {rows[0]['parameters'] / 1e6:.1f} M | {_spread(one['loss'] for one in rows)} | "
                f"{statistics.mean(one['ms'] for one in rows):.0f} | {' | '.join(missing)} |"
            )
    told = [difference(f"{FINE} - {COARSEST}", _losses(arms[FINE]), _losses(arms[COARSEST]))]
    fine = {what: {one["seed"]: one["without"][what] for one in arms[FINE]} for what in ("shared", "routed")}
    told += [difference("without shared - without routed", fine["shared"], fine["routed"])]
    return "\n".join([*lines, "", *filter(None, told)])


def capacity_table(found: list[Figures], free: list[Figures]) -> str:
    """Loss with either selection beside that without a capacity, and how much was dropped."""
    lines = ["| arm | taken | held-out loss | dropped at the end |", "| --- | --- |" + " ---: |" * 2]
    told = []
    for arm, of_arm in _by(found, "arm"):
        unbound = [one for one in free if one["arm"] == arm]
        lines += [f"| {arm} | all | {_spread(one['loss'] for one in unbound)} | 0 % |"] if unbound else []
        ways = dict(_by(of_arm, "by"))
        for by, rows in ways.items():
            dropped = statistics.mean(one["dropped"] for one in rows)
            lines.append(f"| {arm} | by {by} | {_spread(one['loss'] for one in rows)} | {dropped:.1%} |")
        told.append(
            difference(f"{arm}: random - position", _losses(ways.get("random", [])), _losses(ways.get("position", [])))
        )
    return "\n".join([*lines, "", *filter(None, told)])


def prune_table(found: list[Figures]) -> str:
    """Loss with fewer experts, at once and tuned."""
    lines = ["| experts | kept by | before | at once | tuned |", "| ---: | --- |" + " ---: |" * 3]
    told = []
    for kept, of_kept in sorted(_by(found, "kept"), reverse=True):
        ways = dict(_by(of_kept, "by"))
        for by, rows in ways.items():
            losses = " | ".join(_spread(one[when] for one in rows) for when in ("before", "at once", "tuned"))
            lines.append(f"| {kept} | {by} | {losses} |")
        for by in ("load", "task"):
            for when in ("at once", "tuned"):
                pair = ({one["seed"]: one[when] for one in ways.get(way, [])} for way in (by, "random"))
                told.append(difference(f"{kept} experts, {when}: {by} - random", *pair))
    return "\n".join([*lines, "", *filter(None, told)])


def difference(name: str, left: Mapping[int, float], right: Mapping[int, float]) -> str | None:
    """The mean difference of losses by their seeds with its 95 % interval; None with fewer than two seeds."""
    gaps = [left[seed] - right[seed] for seed in sorted(left.keys() & right.keys())]
    if len(gaps) < 2:
        return None
    mean = statistics.mean(gaps)
    # Of more than ten, the normal distribution's is near enough.
    half = STUDENT.get(len(gaps), 1.96) * statistics.stdev(gaps) / len(gaps) ** 0.5
    said = "below" if mean + half < 0 else "above" if mean - half > 0 else "no difference beyond the seeds'"
    return f"{name}: {mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f}, {len(gaps)} seeds): {said}  "


def _losses(rows: Iterable[Figures]) -> dict[int, float]:
    return {one["seed"]: one["loss"] for one in rows}


def _by(rows: Iterable[Figures], key: str) -> list[tuple]:
    ordered = sorted(rows, key=lambda one: str(one[key]))
    return [(value, list(group)) for value, group in groupby(ordered, key=lambda one: one[key])]


def _spread(values: Iterable[float | None]) -> str:
    known = [one for one in values if one is not None]
    if not known:
        return ""
    return f"{statistics.mean(known):.4f} ({min(known):.4f} to {max(known):.4f})"
