"""Scores of the `drawn` suite: the published metric of each format, part by part."""

from collections.abc import Mapping, Sequence

from moai.evaluation.drawn.documents import PARTS, PEOPLE, POPE_SETTINGS, Document
from moai.evaluation.metrics.mme import mme_scores
from moai.evaluation.metrics.multiple_choice import chosen_letter, circular_scores, unreadable
from moai.evaluation.metrics.pope import pope_scores
from moai.evaluation.metrics.vqa import vqa_accuracy

HEADLINES = {
    "pope": ("POPE accuracy", "accuracy"),
    "mme": ("MME score (of 1200)", "score"),
    "textvqa": ("TextVQA accuracy", "accuracy"),
    "mmbench": ("MMBench circular accuracy", "circular"),
}
"""For each part, how its one number is called, and its key among the part's scores."""


def drawn_scores(documents: Sequence[Document], answers: Mapping[str, str]) -> dict[str, dict]:
    """For each part with answers its scores; shares are 0..100, and every part counts its `questions`.

    answers: document key -> free text; documents without one are left out.
    """
    table = {}
    for part in PARTS:
        asked = [one for one in documents if one.part == part and one.key in answers]
        if asked:
            table[part] = _SCORERS[part](asked, [answers[one.key] for one in asked]) | {"questions": len(asked)}
    return table


def _percent(scores: dict[str, float]) -> dict[str, float]:
    return {name: 100 * value for name, value in scores.items()}


def _pope(documents: Sequence[Document], answers: Sequence[str]) -> dict:
    scores = _percent(pope_scores(answers, [one.answer for one in documents]))
    for setting in POPE_SETTINGS:
        rows = [(answer, one.answer) for one, answer in zip(documents, answers, strict=True) if one.category == setting]
        if rows:
            scores[setting] = _percent(pope_scores(*zip(*rows, strict=True)))
    return scores


def _mme(documents: Sequence[Document], answers: Sequence[str]) -> dict:
    table = mme_scores(
        answers,
        [one.answer for one in documents],
        [one.group for one in documents],
        [one.category for one in documents],
    )
    return {"score": sum(row["score"] for row in table.values())} | table


def _textvqa(documents: Sequence[Document], answers: Sequence[str]) -> dict:
    marks = [vqa_accuracy(answer, [one.answer] * PEOPLE) for one, answer in zip(documents, answers, strict=True)]
    return {"accuracy": 100 * sum(marks) / len(marks)}


def _mmbench(documents: Sequence[Document], answers: Sequence[str]) -> dict:
    right = [chosen_letter(answer, one.options) == one.answer for one, answer in zip(documents, answers, strict=True)]
    scores = circular_scores(right, [one.group for one in documents], [one.group_size for one in documents])
    return {
        "circular": 100 * scores["circular"],
        "plain": 100 * scores["plain"],
        "choices": scores["questions"],
        "unreadable": unreadable(answers, [one.options for one in documents]),
    }


_SCORERS = {"pope": _pope, "mme": _mme, "textvqa": _textvqa, "mmbench": _mmbench}
