"""Scores of the published benchmarks, from documents of lmms-eval's tasks and the answers given to them.

Every scorer takes pairs of (document, answer) and returns percentages (MME: points) and the number of `questions`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from moai.evaluation.metrics.mme import COGNITION, PERCEPTION, mme_scores
from moai.evaluation.metrics.multiple_choice import LETTERS, chosen_letter, circular_scores, unreadable
from moai.evaluation.metrics.pope import pope_scores
from moai.evaluation.metrics.vqa import vqa_accuracy
from moai.evaluation.metrics.yes_no import first_yes_no

Samples = Sequence[tuple[dict, str]]
_SHIFT = 1_000_000
"""MMBench numbers the shifts of question n as n, n + 1000000, n + 2000000, ..."""


def _percent(marks: Iterable[bool]) -> float:
    marks = list(marks)
    return 100 * sum(marks) / len(marks)


def _by(samples: Samples, marks: Sequence[bool], name: Callable[[dict], str]) -> dict[str, dict]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for (document, _), mark in zip(samples, marks, strict=True):
        groups[name(document)].append(mark)
    return {key: {"accuracy": _percent(found), "questions": len(found)} for key, found in sorted(groups.items())}


def _letters(options: Callable[[dict], Sequence[str]], right: Callable[[dict], str], group=None):
    """A scorer of multiple-choice questions: the options of a document and the letter of the right one."""

    def score(samples: Samples) -> dict:
        marks = [chosen_letter(text, options(one)) == right(one) for one, text in samples]
        groups = _by(samples, marks, group) if group else {}
        lost = unreadable([text for _, text in samples], [options(one) for one, _ in samples])
        return {"accuracy": _percent(marks), "questions": len(marks), "unreadable": lost} | groups

    return score


def _textvqa(samples: Samples) -> dict:
    marks = [vqa_accuracy(text, one["answers"]) for one, text in samples]
    return {"accuracy": 100 * sum(marks) / len(marks), "questions": len(marks)}


def _pope(samples: Samples) -> dict:
    """The three settings, and the mean of their accuracies and F1 scores, as papers report."""
    settings: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one, text in samples:
        settings[one["category"]].append((text, one["answer"].strip().lower()))
    table = {}
    for name, rows in settings.items():
        scores = pope_scores([text for text, _ in rows], [truth for _, truth in rows])
        table[name] = {key: 100 * value for key, value in scores.items()} | {"questions": len(rows)}
    mean = {key: sum(row[key] for row in table.values()) / len(table) for key in ("accuracy", "f1", "yes_ratio")}
    return mean | {"questions": len(samples)} | table


def _mme(samples: Samples) -> dict:
    documents = [one for one, _ in samples]
    table = mme_scores(
        [text for _, text in samples],
        [one["answer"].strip().lower() for one in documents],
        [one["question_id"] for one in documents],
        [one["category"] for one in documents],
    )
    sums = {
        name: sum(table[part]["score"] for part in parts if part in table)
        for name, parts in (("perception", PERCEPTION), ("cognition", COGNITION))
    }
    return sums | {"questions": len(samples)} | table


def _mmbench_options(document: dict) -> list[str]:
    return [document[letter] for letter in LETTERS[:4] if document.get(letter) not in (None, "", "nan")]


def _mmbench(samples: Samples) -> dict:
    """Circular accuracy where the release has the shifts of its questions, plain accuracy beside it."""
    marks = [chosen_letter(text, _mmbench_options(one)) == one["answer"] for one, text in samples]
    groups = [int(one["index"]) % _SHIFT for one, _ in samples]
    shifted = any(int(one["index"]) >= _SHIFT for one, _ in samples)
    sizes = [len(_mmbench_options(one)) if shifted else 1 for one, _ in samples]
    scores = circular_scores(marks, groups, sizes)
    name = "circular" if shifted else "plain"
    lost = unreadable([text for _, text in samples], [_mmbench_options(one) for one, _ in samples])
    table = {"accuracy": 100 * scores[name], "plain": _percent(marks), "questions": len(marks), "unreadable": lost}
    return table | _by(samples, marks, lambda one: str(one["category"]))


def _hallusion(samples: Samples) -> dict:
    """aAcc: questions right; qAcc: question pairs right for all their figures; fAcc: figures with all questions right.

    Source: Guan et al. 2023, "HallusionBench" (arXiv 2310.14566), section 4.1; answers are read by their first word,
    where the authors ask GPT-4.
    """
    pairs, figures, marks = defaultdict(list), defaultdict(list), []
    for one, text in samples:
        mark = first_yes_no(text) == ("yes" if str(one["gt_answer"]) == "1" else "no")
        place = (one["category"], one["subcategory"], one["set_id"])
        marks.append(mark)
        pairs[(*place, one["question_id"])].append(mark)
        figures[(*place, one["figure_id"])].append(mark)
    return {
        "aAcc": _percent(marks),
        "fAcc": _percent(map(all, figures.values())),
        "qAcc": _percent(map(all, pairs.values())),
        "questions": len(marks),
    }


def _qbench_options(document: dict) -> list[str]:
    return [document[f"option{place}"] for place in range(4) if document[f"option{place}"] != "N/A"]


SCORERS: dict[str, Callable[[Samples], dict]] = {
    "q-bench": _letters(_qbench_options, lambda one: one["correct_choice"], lambda one: f"type {one['question_type']}"),
    "scienceqa-img": _letters(lambda one: one["choices"], lambda one: LETTERS[one["answer"]]),
    "textvqa": _textvqa,
    "pope": _pope,
    "mme": _mme,
    "mmbench": _mmbench,
    "mmbench-cn": _mmbench,
    "ai2d": _letters(lambda one: one["options"], lambda one: LETTERS[int(one["answer"])]),
    "seed-img": _letters(
        lambda one: [one[f"choice_{letter}"] for letter in "abcd"],
        lambda one: one["answer"].strip().upper(),
        lambda one: f"type {one['question_type_id']}",
    ),
    "hallusionbench": _hallusion,
}
"""The judged benchmarks are scored in `moai.evaluation.lmms.judged`."""
