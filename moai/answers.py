"""What an assistant gives back, and how answers are worded."""

import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from reprlib import repr
from typing import Any

from torch import Tensor

from moai.evidence import ExpertLoads, GateShares
from moai.inference.strategies.deliberation import Draft
from moai.inference.strategies.registry import USUAL_TEMPERATURE, Deliberation
from moai.models.prompts import whole_characters
from perception import Scene

COLDEST = 1e-4
"""The lowest temperature that is sampled at: below it the best token has all of the probability in fp32."""


@dataclass
class Answer:
    """What the assistant said and why: the scene the experts saw, whom each mixer listened to (empty when the mixers
    rested), and seconds per stage. `usage` counts what it took. Where several drafts were made, `drafts` has each with
    its votes, and `agreement` is the share that say what most say. `changed` are the tokens at which contrast chose
    otherwise than the model's best. `instead_of` is what the model wrote where something else goes better with what
    experts found (`moai.settling`). `experts` are those of a sparse decoder that its tokens took, layer by layer; empty
    for a dense one, and for drafts."""

    text: str
    scene: Scene
    gates: list[GateShares] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    usage: "Usage | None" = None
    drafts: list[Draft] = field(default_factory=list)
    agreement: float | None = None
    changed: list[str] = field(default_factory=list)
    experts: list[ExpertLoads] = field(default_factory=list)
    instead_of: str | None = None

    def to_dict(self) -> dict:
        """Plain Python values, ready for `json.dumps`."""
        gates = [vars(gate) for gate in self.gates]
        told: dict[str, Any] = {
            "text": self.text,
            "scene": self.scene.to_dict(),
            "gates": gates,
            "timings": self.timings,
        }
        if self.experts:
            told["experts"] = [vars(loads) for loads in self.experts]
        if self.drafts:
            told |= {"drafts": [vars(draft) for draft in self.drafts], "agreement": self.agreement}
        if self.instead_of is not None:
            told["instead_of"] = self.instead_of
        return told | ({"changed": self.changed} if self.changed else {})


@dataclass(frozen=True)
class Usage:
    """Tokens of a prompt, those of the picture among them, and of its answer, with the one that ends it; `cut` tells
    that the answer was ended by its greatest length."""

    prompt_tokens: int
    new_tokens: int
    cut: bool


@dataclass
class EncodedImage:
    """A picture that has been seen once and can be asked many questions: its scene and the model's encoded inputs."""

    scene: Scene
    experts: tuple[str, ...]
    inputs: dict[str, Tensor]
    timings: dict[str, float]


@dataclass(frozen=True)
class Decoding(Deliberation):
    """How answers are worded: at most `max_new_tokens` tokens; `temperature` 0 is greedy, above it samples from the
    `top_p` share of the probability; None is 0, or `USUAL_TEMPERATURE` for several drafts. What is colder than
    `COLDEST` is greedy, too. A `seed` (0 to 2**63 - 1) makes sampling repeatable. Answers end before the first of the
    texts in `stop`. The rest is that of `Deliberation`: drafts, and contrast with a weak side."""

    max_new_tokens: int = 96
    temperature: float | None = None
    top_p: float = 1.0
    seed: int | None = None
    stop: Sequence[str] = ()

    def __post_init__(self):
        super().__post_init__()
        tokens, temperature, top_p = self.max_new_tokens, self.temperature, self.top_p
        if temperature is None:
            temperature = USUAL_TEMPERATURE if self.samples > 1 else 0.0
        if not (_is_number(tokens) and isinstance(tokens, Integral) and 1 <= tokens <= 4096):
            raise ValueError(f"max_new_tokens is {repr(tokens)}; allowed is 1 to 4096, a whole number")
        if not (_is_number(temperature) and 0 <= temperature <= 10):
            raise ValueError(f"temperature is {repr(temperature)}; allowed is 0 (greedy) to 10")
        if not (_is_number(top_p) and 0 < top_p <= 1):
            raise ValueError(f"top_p is {repr(top_p)}; allowed is above 0, up to 1")
        if not (
            self.seed is None or (_is_number(self.seed) and isinstance(self.seed, Integral) and 0 <= self.seed < 2**63)
        ):
            raise ValueError(f"seed is {repr(self.seed)}; allowed is a whole number from 0 to 2**63 - 1, or None")
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        if not isinstance(stop, Sequence) or not all(isinstance(one, str) and one for one in stop):
            raise ValueError(f"stop is {repr(self.stop)}; allowed are texts that are not empty, in a list")
        object.__setattr__(self, "stop", tuple(map(whole_characters, stop)))
        # transformers takes no other numbers than Python's own.
        object.__setattr__(self, "max_new_tokens", int(tokens))
        object.__setattr__(self, "temperature", float(temperature) if temperature >= COLDEST else 0.0)
        object.__setattr__(self, "top_p", float(top_p))
        if self.samples > 1 and not self.temperature:
            raise ValueError(f"{self.samples} samples need a temperature above 0, or they are all the same")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Decoding":
        """The decoding that these fields ask for; ValueError with one sentence for an unknown one or a bad value."""
        allowed = [one.name for one in sorted(fields(cls), key=lambda one: bool(one.kw_only))]
        for name in settings:
            if name not in allowed:
                raise ValueError(f"there is no setting {name!r} of decoding; allowed are {', '.join(allowed)}")
        return cls(**settings)

    def arguments(self) -> dict:
        """As arguments of `generate`."""
        if self.temperature == 0:
            return {"max_new_tokens": self.max_new_tokens, "do_sample": False}
        sampling = {"do_sample": True, "temperature": self.temperature, "top_p": self.top_p, "top_k": 0}
        return {"max_new_tokens": self.max_new_tokens} | sampling


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


@contextmanager
def timed(timings: dict[str, float], name: str):
    """Adds the seconds of the block to `timings[name]`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        timings[name] = timings.get(name, 0.0) + time.perf_counter() - started
