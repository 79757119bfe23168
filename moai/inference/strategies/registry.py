"""How an answer comes about: strategies by name, and which one the settings of a question choose."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from moai.inference.strategies.contrast import Contrast
from moai.inference.strategies.deliberation import (
    Draft,
    check_samples,
    check_windows,
    voted,
    windows,
)
from moai.models.prompts import aggregate_question

USUAL_TEMPERATURE = 0.7
"""Of drafts, where none is given (Self-MoA, arXiv 2502.00674)."""
COMBINE = ("vote", "aggregate")


@dataclass
class Outcome:
    """An answer with the drafts behind it, the share of them that say the same (None: one draft), and the tokens at
    which contrast chose otherwise than the model's best. `result` is whatever the speaker makes of it."""

    text: str
    drafts: list[Draft] = field(default_factory=list)
    agreement: float | None = None
    changed: list[str] = field(default_factory=list)
    result: Any = None


class Speaker(Protocol):
    """Who is asked one question."""

    def drafts(self, against: Contrast | None, copies: int) -> list[Outcome]:
        """`copies` answers, each with its one draft."""

    def again(self, turn: Callable[[str], str], last: bool) -> Outcome:
        """An answer to what `turn` makes of the question; `last` tells that it is what people will read."""


def self_moa(speaker: Speaker, asked: "Deliberation") -> Outcome:
    """Several answers of the one model, combined (Self-MoA, and in windows Self-MoA-Seq)."""
    answers = speaker.drafts(asked.against, asked.samples)
    drafts = [answer.drafts[0] for answer in answers]
    kept, place = voted([one.text for one in drafts], [one.logprob for one in drafts])
    outcome = replace(answers[place], drafts=kept, agreement=kept[place].votes / len(kept))
    if asked.combine == "vote":
        return outcome
    best: str | None = None
    for group in windows(asked.samples, asked.window, asked.reserve):

        def turn(question: str, group: range = group, best: str | None = best) -> str:
            return aggregate_question(question, [kept[one].text for one in group], best, asked.reserve)

        said = speaker.again(turn, last=group.stop == asked.samples)
        best = said.text
    return replace(said, drafts=kept, agreement=outcome.agreement)


def contrast(speaker: Speaker, asked: "Deliberation") -> Outcome:
    """The answer that a weaker self would not give as well (SCMoE)."""
    return replace(speaker.drafts(asked.against, 1)[0], drafts=[])


STRATEGIES: dict[str, Callable[[Speaker, "Deliberation"], Outcome]] = {"self_moa": self_moa, "contrast": contrast}
"""By the names that `Deliberation.strategy` gives."""


@dataclass(frozen=True, kw_only=True)
class Deliberation:
    """What a question asks for beyond one answer by the model as it is: `samples` drafts (1 to 64) that are combined by
    `combine`, for "aggregate" in windows of `window` answers of which `reserve` places are the answer's so far; a
    `contrast` of some strength (0 to 2, 0 for none) with the side `weak`, among `plausible` tokens.
    """

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
            raise ValueError(f"there is no way {self.combine!r} to combine drafts; allowed are {', '.join(COMBINE)}")
        check_windows(self.window, self.reserve)
        Contrast(self.weak, self.contrast, self.plausible)

    @property
    def against(self) -> Contrast | None:
        """The contrast, if there is one."""
        return Contrast(self.weak, self.contrast, self.plausible) if self.contrast else None

    @property
    def strategy(self) -> str | None:
        """One of `STRATEGIES`; None where the model just answers, greedily or by a draw."""
        return "self_moa" if self.samples > 1 else "contrast" if self.contrast else None
