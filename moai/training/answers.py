"""Sample answers while a model trains, and its marks at the end, on examples that are never trained on."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch.utils.data import default_collate

from moai.data.example import Example
from moai.data.rows import Rows
from moai.data.samples import Samples
from moai.evaluation.answering import greedy_answers
from moai.evaluation.metrics.vqa import normalise_answer
from moai.training.objective import MoAIObjective, totals_of
from moai.training.stages import Stage
from perception.presets import preset_experts

SHOWN = 6
"""Sample answers at a time."""
Answers = Callable[[Sequence, Sequence[str] | None], list[str]]


class Examination(Protocol):
    """Questions that a model in training is asked."""

    def sample(self, experts: Sequence[str] | None) -> Iterable[tuple[str, str, str]]:
        """Question, answer and right answer of a few; `experts` as for `greedy_answers`."""
        ...

    def marks(self, experts: Sequence[str] | None) -> dict:
        """How well it answers them all."""
        ...

    def table(self, marks: dict[str, dict]) -> str:
        """Marks by the name of who spoke, as Markdown."""
        ...


def variants(stage: Stage, experts_from: str) -> dict[str, tuple[str, ...] | None]:
    """Which experts of a preset speak when a model is examined, by name."""
    return (
        {"all experts": preset_experts(experts_from), "aux emptied": ()}
        if stage.expert_words
        else {"backbone alone": None}
    )


def examination(objective: MoAIObjective, stage: Stage, samples: Samples, count: int, shown: int) -> Examination | None:
    """`count` questions to answer at the end and `shown` on the way, of the data that is the user's own, else of drawn
    scenes; None where nothing is held out, or asked about images."""
    if not stage.images or not max(count, shown):
        return None
    if all(one["name"] == "drawn" for one in stage.data):
        return DrawnExamination(objective, count)
    held_out = samples.held_out(max(count, shown))
    return HeldOutExamination(objective, samples, held_out, count) if held_out else None


class DrawnExamination:
    """Held-out drawn scenes, scored kind by kind."""

    def __init__(self, objective: MoAIObjective, count: int) -> None:
        # The drawn world is needed by those who train on it.
        from moai.evaluation.drawn import by_kind

        self.objective, self.by_kind, self.count = objective, by_kind, count
        self.examples = list(by_kind.simulated_examples(max(count, SHOWN)))

    def _answers(self, examples: list, experts: Sequence[str] | None) -> list[str]:
        of = self.objective
        return self.by_kind.answer_examples(of.model, of.processor, examples, experts, say=of.generate)

    def sample(self, experts: Sequence[str] | None) -> Iterable[tuple[str, str, str]]:
        """The first few."""
        examples = self.examples[:SHOWN]
        for example, answer in zip(examples, self._answers(examples, experts), strict=True):
            yield example.question.question, answer, example.question.answer

    def marks(self, experts: Sequence[str] | None) -> dict:
        """As `moai.evaluation.drawn.by_kind.tabulate`."""
        examples = self.examples[: self.count]
        return self.by_kind.tabulate(examples, self._answers(examples, experts))

    def table(self, marks: dict[str, dict]) -> str:
        """Kind by kind."""
        return self.by_kind.print_table(marks)


class HeldOutExamination:
    """The first question of each example that a source keeps from training."""

    def __init__(self, objective: MoAIObjective, samples: Samples, examples: Sequence[Example], count: int) -> None:
        self.objective, self.samples, self.count = objective, samples, count
        self.asked = [one for example in examples if (one := asked_first(example, samples.rows)) is not None]

    def _answers(self, asked: Sequence, experts: Sequence[str] | None) -> list[str]:
        of = self.objective
        pictures, scenes = [example.image for example, _, _ in asked], [example.scene for example, _, _ in asked]
        conversations = [messages for _, messages, _ in asked]
        return greedy_answers(
            of.model, of.processor, conversations, pictures, scenes, experts, batch_size=8, say=of.generate
        )

    def sample(self, experts: Sequence[str] | None) -> Iterable[tuple[str, str, str]]:
        """The first few."""
        asked = self.asked[:SHOWN]
        for (_, messages, right), answer in zip(asked, self._answers(asked, experts), strict=True):
            yield messages[-1]["content"], answer, right

    def marks(self, experts: Sequence[str] | None) -> dict:
        """`loss` of the right answers (None where no row fits), the shares `exact` and `contained` of answers that are
        the right one, or have it in them, both without capitals and punctuation, and `count`."""
        asked = self.asked[: self.count]
        given = [normalise_answer(answer) for answer in self._answers(asked, experts)]
        right = [normalise_answer(answer) for _, _, answer in asked]
        pairs = list(zip(given, right, strict=True))
        return {
            "loss": self._loss([example for example, _, _ in asked], silent=experts == ()),
            "exact": sum(one == other for one, other in pairs) / len(pairs),
            "contained": sum(other in one for one, other in pairs) / len(pairs),
            "count": len(pairs),
        }

    @torch.no_grad()
    def _loss(self, examples: Sequence[Example], silent: bool) -> float | None:
        losses = weights = 0.0
        device = self.objective.palette.device
        for number, example in enumerate(examples):
            sample = self.samples.examined(example, number)
            if sample is None:
                continue
            batch = {name: values.to(device) for name, values in default_collate([sample]).items()}
            if silent:
                for name in {"aux_attention_mask", "panoptic"} & batch.keys():
                    batch[name].zero_()
            weight = float(totals_of(batch)["answers"])
            losses, weights = losses + weight * float(self.objective(**batch)["answers"]), weights + weight
        return losses / weights if weights else None

    def table(self, marks: dict[str, dict]) -> str:
        """One line for each who spoke."""
        lines = ["| | questions | loss | exact | contained |", "| --- | --- | --- | --- | --- |"]
        for name, one in marks.items():
            loss = "" if one["loss"] is None else f"{one['loss']:.3f}"
            lines.append(f"| {name} | {one['count']} | {loss} | {one['exact']:.1%} | {one['contained']:.1%} |")
        return "\n".join(lines)


def asked_first(example: Example, rows: Rows) -> tuple[Example, list[dict], str] | None:
    """An example with its messages up to the first question, and the answer; None where nothing is asked."""
    if example.dialogue:
        messages = rows.spoken(example.dialogue)
        answer = next(place for place, message in enumerate(messages) if message["role"] == "assistant")
        return example, messages[:answer], messages[answer]["content"]
    for question, answer in example.turns:
        return example, [{"role": "user", "content": question}], answer
    return None
