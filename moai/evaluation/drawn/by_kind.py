"""Answers of a model on held-out drawn scenes, scored kind by kind."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from moai.data.drawn.held_out import held_out_questions
from moai.data.drawn.question import Question
from moai.data.drawn.scoring import majority_rate, score
from moai.data.splits import SAMPLE_ANSWERS
from moai.evaluation.answering import greedy_answers
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from perception.scene import Scene


@dataclass
class Example:
    """A question about a picture (uint8 (H, W, 3)) and what experts said about it."""

    picture: np.ndarray
    scene: Scene
    question: Question


def simulated_examples(count: int, per_image: int = 5, first_seed: int = SAMPLE_ANSWERS.start) -> Iterator[Example]:
    """`count` held-out examples whose experts are simulated from the ground truth."""
    return itertools.islice(itertools.starmap(Example, held_out_questions(per_image, first_seed)), count)


def answer_examples(
    model: MoAIForConditionalGeneration,
    processor: MoAIProcessor,
    examples: Sequence[Example],
    experts: Sequence[str] | None,
    batch_size: int = 100,
    **kwargs,
) -> list[str]:
    """The model's greedy answers; `experts` and `kwargs` are those of `greedy_answers`."""
    asked = [[{"role": "user", "content": example.question.question}] for example in examples]
    pictures, scenes = [example.picture for example in examples], [example.scene for example in examples]
    return greedy_answers(model, processor, asked, pictures, scenes, experts, batch_size, **kwargs)


def tabulate(examples: Iterable[Example], answers: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per question kind, and "overall": `score` (mean, 0..1), `majority` (the commonest answer's rate), `count`.

    Reading is also listed by what was read, existence and position by their sort, as "kind/detail".
    """
    groups: dict[str, list[tuple[Question, str]]] = defaultdict(list)
    for example, answer in zip(examples, answers, strict=True):
        question = example.question
        for name in (question.kind, f"{question.kind}/{question.detail}" if question.detail else None, "overall"):
            if name is not None:
                groups[name].append((question, answer))
    majorities = majority_rate([question for question, _ in groups["overall"]])
    table = {}
    for name in sorted(groups, key=lambda name: (name == "overall", name)):
        scores = [score(question, answer) for question, answer in groups[name]]
        table[name] = {"score": float(np.mean(scores)), "count": len(scores)}
        if name in majorities:
            table[name]["majority"] = majorities[name]
    return table


def print_table(tables: dict[str, dict[str, dict[str, float]]]) -> str:
    """Several result tables side by side, one column each, in percent, as Markdown."""
    first = next(iter(tables.values()))
    lines = ["| kind | questions | majority | " + " | ".join(tables) + " |", "| --- " * (3 + len(tables)) + "|"]
    for kind, row in first.items():
        majority = f"{row['majority']:.0%}" if "majority" in row else ""
        scores = [f"{table[kind]['score']:.1%}" if kind in table else "" for table in tables.values()]
        lines.append(f"| {kind} | {row['count']} | {majority} | " + " | ".join(scores) + " |")
    return "\n".join(lines)
