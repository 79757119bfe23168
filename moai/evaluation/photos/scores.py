"""Answers to scores: every group of every task in every way, with intervals over pictures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from moai.evaluation.metrics.bootstrap import interval
from moai.evaluation.metrics.phrases import listed
from moai.evaluation.metrics.wups import WordNet, wups
from moai.evaluation.photos.item import MAJORITY, RULE, Item, task, task_names
from moai.evaluation.photos.tasks import general
from moai.evaluation.photos.tasks.wordings import PLAIN
from moai.evaluation.photos.ways import FULL

ALL = "all"
MEAN_OF = ("pope", "counting", "position", "rooms", "reading")
"""Tasks of which the mean of accuracies is taken."""
THRESHOLDS = (0.9, 0.0)
_GUESSED = ("pope", "counting", "position", "rooms", "reading", "statements")

Answers = Mapping[str, Mapping[str, str]]
"""By way, then by the key of the item."""
Marked = tuple[list[float], list[str]]
"""Marks, and the picture that each is about."""


def scores_of(items: Sequence[Item], answers: Answers, wordnet: WordNet | None = None) -> dict:
    """{"tasks": {task: {group: {way: numbers}}}, "mean": {way: numbers}, "left_out": {task: why}}.

    Numbers are `mean`, `low` and `high` (95 % interval), `questions`, `pictures`, `ahead` (of this way, by how much the
    whole model is, with its interval), and what else a task measures. "all" is the whole of a task without published
    questions; "GROUP, where it was read" has the questions whose answer the text expert's lines hold.
    """
    answers = {MAJORITY: _majority(items), RULE: _ruled(items), **answers}
    tasks: dict[str, dict] = {}
    left_out: dict[str, str] = {}
    marked: dict[tuple[str, str], Marked] = {}
    for name in task_names():
        own = [item for item in items if item.task == name]
        if not own:
            continue
        try:
            tasks[name] = {
                group: rows
                for group, part in _groups(own).items()
                if (rows := _ways(name, part, answers, wordnet, marked if group == ALL else None))
            }
        except ImportError as error:
            left_out[name] = f"{error}; install it (the extra `photos` has it) and score again with --score"
    return {"tasks": tasks, "mean": _means(marked), "left_out": left_out}


def _groups(items: Sequence[Item]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
        if item.held:
            groups.setdefault(f"{item.group}, where it was read", []).append(item)
    if task(items[0].task).unit != "%" or items[0].task == "wordings":
        return groups
    whole = [item for item in items if not item.group.startswith("published")]
    return {ALL: whole} if len(groups) == 1 else groups | {ALL: whole}


def _ways(
    name: str,
    items: Sequence[Item],
    answers: Answers,
    wordnet: WordNet | None,
    marked: dict[tuple[str, str], Marked] | None,
) -> dict:
    rows: dict[str, dict] = {}
    own: dict[str, Marked] = {}
    for way, said in answers.items():
        asked = [item for item in items if item.key in said]
        # A way that answers only some would be compared on other questions.
        if len(asked) < len(items):
            continue
        texts = [said[item.key] for item in asked]
        marks = list(task(name).marks(asked, texts))
        more: dict[str, Any] = {}
        if measures := task(name).measures:
            more |= measures(asked, texts)
        if name == "rooms" and wordnet is not None:
            more |= _wups(asked, texts, wordnet)
        if name == "wordings":
            more |= _against_plain(asked, texts, marks, said)
        if name == "general" and (plain := answers.get(general.PLAIN)) and all(item.key in plain for item in asked):
            more["right"] = sum(marks) / len(marks)
            marks = general.same(asked, texts, [plain[item.key] for item in asked])
        pictures = [item.picture or item.key for item in asked]
        rows[way] = _spread([(marks, pictures)]) | {"questions": len(asked), "pictures": len(set(pictures))} | more
        own[way] = (marks, pictures)
        if marked is not None:
            marked[way, name] = (marks, pictures)
    for way in own.keys() - {FULL} if FULL in own else ():
        rows[way]["ahead"] = _ahead([own[FULL]], [own[way]])
    return rows


def _spread(marked: Sequence[Marked]) -> dict[str, float]:
    """The mean of several tasks' means, with its interval."""
    marks, pictures = zip(*marked, strict=True)
    return dict(zip(("mean", "low", "high"), interval(marks, pictures), strict=True))


def _ahead(ours: Sequence[Marked], theirs: Sequence[Marked]) -> dict[str, float]:
    """By how much ours is above theirs, question by question."""
    apart = [
        ([one - other for one, other in zip(ours_marks, theirs_marks, strict=True)], pictures)
        for (ours_marks, pictures), (theirs_marks, _) in zip(ours, theirs, strict=True)
    ]
    return _spread(apart)


def _against_plain(
    asked: Sequence[Item], texts: Sequence[str], marks: Sequence[float], said: Mapping[str, str]
) -> dict:
    """What another wording costs: `points` beside the question as it is, and how many answers are the same."""
    plain = [replace(item, group=PLAIN, question=item.base) for item in asked]
    if any(item.key not in said for item in plain):
        return {}
    before = [said[item.key] for item in plain]
    right = list(task(asked[0].task).marks(plain, before))
    pictures = [item.picture for item in asked]
    same = sum(text == other for text, other in zip(texts, before, strict=True))
    return {"points": _ahead([(list(marks), pictures)], [(right, pictures)]), "same_answer": same / len(texts)}


def _wups(items: Sequence[Item], texts: Sequence[str], wordnet: WordNet) -> dict[str, float]:
    pairs = [(listed(text), listed(item.truth[0])) for item, text in zip(items, texts, strict=True)]
    return {
        f"wups_{threshold}": sum(wups(*pair, wordnet, threshold) for pair in pairs) / len(pairs)
        for threshold in THRESHOLDS
    }


def _majority(items: Sequence[Item]) -> dict[str, str]:
    """The commonest truth of each group, as the answer to all of it."""
    counts: dict[tuple[str, str], Counter] = {}
    for item in items:
        if item.task in _GUESSED and not item.options:
            counts.setdefault((item.task, item.group), Counter())[item.truth[0]] += 1
    return {
        item.key: counts[item.task, item.group].most_common(1)[0][0]
        for item in items
        if not item.options and (item.task, item.group) in counts
    }


def _ruled(items: Sequence[Item]) -> dict[str, str]:
    return {item.key: item.rule for item in items if item.rule is not None}


def _means(marked: Mapping[tuple[str, str], Marked]) -> dict:
    """Of every way that was asked all of the tasks that the whole model was, the mean of accuracies."""
    wanted = [name for name in MEAN_OF if (FULL, name) in marked]
    means: dict[str, dict] = {}
    for way in dict.fromkeys(way for way, _ in marked):
        if wanted and all((way, name) in marked for name in wanted):
            own = [marked[way, name] for name in wanted]
            means[way] = _spread(own) | {"tasks": wanted}
            if way != FULL:
                means[way]["ahead"] = _ahead([marked[FULL, name] for name in wanted], own)
    return means
