"""How an answer comes about: strategies by name, and which one the settings of a question choose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from moai.inference.strategies.contrast import Contrast
from moai.inference.strategies.deliberation import (
    Draft,
    aggregate_question,
    check_samples,
    check_windows,
    voted,
    windows,
)

USUAL_TEMPERATURE = 0.7
"""Of drafts, where none is given (Self-MoA, arXiv 2502.00674)."""
COMBINE = ("vote", "aggregate")


@dataclass(frozen=True)
class Deliberation:
    """What a question asks for beyond one answer by the model as it is: `samples` drafts (1 to 64) that are combined by
    `combine`, for "aggregate" in windows of `window` answers of which `reserve` places are the answer's so far; a
    `contrast` of some strength with the side `weak`, among `plausible` tokens, 0 for none."""

    samples: int = 1
    combine: str = "vote"
    window: int = 6
    reserve: int = 3
    contrast: float = 0.0
    weak: str = "no-aux"
    plausible: float = 0.1

    def __post_init__(self):
        check_samples(self.samples)
        if self.combine not in COMBINE:
            raise ValueError(f"there is no combination {self.combine!r} of drafts; allowed are {', '.join(COMBINE)}")
        check_windows(self.window, self.reserve)
        self.against  # noqa: B018  checked at once

    @property
    def against(self) -> Contrast | None:
        """The contrast, if there is one."""
        made = Contrast(self.weak, self.contrast, self.plausible)
        return made if self.contrast else None

    @property
    def strategy(self) -> str | None:
        """One of `STRATEGIES`; None where the model just answers."""
        return "self_moa" if self.samples > 1 else "contrast" if self.contrast else None


@dataclass
class Outcome:
    """An answer with the drafts behind it, the share of them that say the same (None: one draft), and the tokens at
    which contrast chose otherwise than the model's best."""

    text: str
    drafts: list[Draft] = field(default_factory=list)
    agreement: float | None = None
    changed: list[str] = field(default_factory=list)
    result: Any = None


class Speaker(Protocol):
    """Who is asked: several prompts at once."""

    def drafts(self, contrast: Contrast | None, copies: int) -> list[list[Outcome]]:
        """For each prompt `copies` answers, each with its one draft."""

    def again(self, turn: Callable[[int, str], str]) -> list[Outcome]:
        """One answer to each prompt whose last question, with the prompt's place, `turn` replaces."""


def self_moa(speaker: Speaker, asked: Deliberation) -> list[Outcome]:
    """Several answers of the one model, combined (Self-MoA, and in windows Self-MoA-Seq)."""
    outcomes = []
    for answers in speaker.drafts(asked.against, asked.samples):
        drafts = [answer.drafts[0] for answer in answers]
        kept, place = voted([one.text for one in drafts], [one.logprob for one in drafts])
        outcomes.append(replace(answers[place], drafts=kept, agreement=kept[place].votes / len(kept)))
    return outcomes if asked.combine == "vote" else _aggregated(speaker, asked, outcomes)


def _aggregated(speaker: Speaker, asked: Deliberation, outcomes: Sequence[Outcome]) -> list[Outcome]:
    texts = [[draft.text for draft in outcome.drafts] for outcome in outcomes]
    answers: list[Outcome] = []
    for group in windows(asked.samples, asked.window, asked.reserve):

        def turn(place: int, question: str, group: range = group, best: Sequence[Outcome] = answers) -> str:
            said = [texts[place][one] for one in group]
            return aggregate_question(question, said, best[place].text if best else None, asked.reserve)

        answers = speaker.again(turn)
    return [
        replace(answer, drafts=outcome.drafts, agreement=outcome.agreement)
        for answer, outcome in zip(answers, outcomes, strict=True)
    ]


def contrast(speaker: Speaker, asked: Deliberation) -> list[Outcome]:
    """The answer that a weaker self would not give as well (SCMoE)."""
    return [replace(answers[0], drafts=[]) for answers in speaker.drafts(asked.against, 1)]


STRATEGIES: dict[str, Callable[[Speaker, Deliberation], list[Outcome]]] = {"self_moa": self_moa, "contrast": contrast}
