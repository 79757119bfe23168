"""Answers to scores: every group of every task in every way, with intervals over pictures."""

from collections import Counter
from collections.abc import Mapping, Sequence

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


def scores_of(items: Sequence[Item], answers: Answers, wordnet: WordNet | None = None) -> dict:
    """{"tasks": {task: {group: {way: numbers}}}, "mean": {way: numbers}, "left_out": {task: why}}.

    Numbers are `mean`, `low` and `high` (95 % interval), `questions`, `pictures`, and what else a task measures. "all"
    is the whole of a task without published questions; "GROUP, where it was read" has the questions whose answer the
    text expert's lines hold.
    """
    answers = {MAJORITY: _majority(items), RULE: _ruled(items), **answers}
    tasks: dict[str, dict] = {}
    left_out: dict[str, str] = {}
    marked: dict[tuple[str, str], tuple[list[float], list[str]]] = {}
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


def _ways(name: str, items: Sequence[Item], answers: Answers, wordnet: WordNet | None, marked: dict | None) -> dict:
    rows = {}
    for way, said in answers.items():
        asked = [item for item in items if item.key in said]
        # A way that answers only some would be compared on other questions.
        if len(asked) < len(items):
            continue
        texts = [said[item.key] for item in asked]
        marks, more = list(task(name).marks(asked, texts)), {}
        if measures := task(name).measures:
            more |= measures(asked, texts)
        if name == "rooms" and wordnet is not None:
            more |= _wups(asked, texts, wordnet)
        if name == "wordings":
            more |= _against_plain(items, asked, texts, said, way)
        if name == "general" and (plain := answers.get(general.PLAIN)) and all(item.key in plain for item in asked):
            more["right"] = sum(marks) / len(marks)
            marks = general.same(asked, texts, [plain[item.key] for item in asked])
        pictures = [item.picture or item.key for item in asked]
        mean, low, high = interval([marks], [pictures])
        counts = {"questions": len(asked), "pictures": len(set(pictures))}
        rows[way] = {"mean": mean, "low": low, "high": high} | counts | more
        if marked is not None:
            marked[way, name] = (marks, pictures)
    return rows


def _against_plain(
    items: Sequence[Item], asked: Sequence[Item], texts: Sequence[str], said: Mapping[str, str], way: str
) -> dict:
    """How many answers are those to the question as it is."""
    same = [
        said.get(Item(item.task, PLAIN, item.picture, item.base, base=item.base).key) == text
        for item, text in zip(asked, texts, strict=True)
    ]
    return {"same_answer": sum(same) / len(same)}


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


def _means(marked: Mapping[tuple[str, str], tuple[list[float], list[str]]]) -> dict:
    """Of every way that was asked all of the tasks that the whole model was, the mean of accuracies."""
    wanted = [name for name in MEAN_OF if (FULL, name) in marked]
    means = {}
    for way in dict.fromkeys(way for way, _ in marked):
        if wanted and all((way, name) in marked for name in wanted):
            mean, low, high = interval(*zip(*(marked[way, name] for name in wanted), strict=True))
            means[way] = {"mean": mean, "low": low, "high": high, "tasks": wanted}
    return means
