"""Self-contrast: what a model says beyond what a weaker routing of it says too (SCMoE, arXiv 2405.14507)."""

from dataclasses import dataclass
from numbers import Real

from moai.inference.strategies.weak import check_weak

MAX_STRENGTH = 2.0


@dataclass(frozen=True)
class Contrast:
    """`weak` is one of `moai.inference.strategies.weak.WEAK`; `strength` in 0..2, 0 changes nothing; only tokens of at
    least `plausible` (above 0, up to 1) times the best one's probability may be chosen."""

    weak: str = "no-aux"
    strength: float = 0.5
    plausible: float = 0.1

    def __post_init__(self):
        for name, value in (("contrast", self.strength), ("plausible", self.plausible)):
            if not isinstance(value, Real) or isinstance(value, bool):
                raise ValueError(f"{name} is {value!r}; allowed is a number")
        if not 0 <= self.strength <= MAX_STRENGTH:
            raise ValueError(f"contrast is {self.strength!r}; allowed is 0 to {MAX_STRENGTH:g}")
        if not 0 < self.plausible <= 1:
            raise ValueError(f"plausible is {self.plausible!r}; allowed is above 0, up to 1")
        check_weak(self.weak)
