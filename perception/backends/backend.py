"""What the declaration of a backend holds."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from perception.expert import Expert


class Setting(Protocol):
    """What a backend can be given as an option."""

    def check(self, name: str, value: Any) -> None:
        """Raises ValueError with one sentence for a value that is not allowed."""


@dataclass(frozen=True)
class Option:
    """A number of type `type`, from `low` to `high`."""

    type: type[int] | type[float]
    low: float
    high: float

    def check(self, name: str, value: Any) -> None:
        """Raises ValueError with one sentence for a value that is not allowed."""
        fits = isinstance(value, (int, self.type)) and not isinstance(value, bool)
        if not fits or not self.low <= value <= self.high:
            what = "a whole number" if self.type is int else "a number"
            raise ValueError(f"the option {name} is {value!r}; it must be {what} from {self.low} to {self.high}")


@dataclass(frozen=True)
class OneOf:
    """One of several values."""

    allowed: tuple[Any, ...]

    def check(self, name: str, value: Any) -> None:
        """Raises ValueError with one sentence for a value that is not allowed."""
        if not any(value is one or (type(value) is type(one) and value == one) for one in self.allowed):
            words = ", ".join(str(one).lower() if isinstance(one, bool) else str(one) for one in self.allowed)
            raise ValueError(f"the option {name} is {value!r}; allowed are {words}")


@dataclass(frozen=True)
class Text:
    """A text that `pattern` matches as a whole; `what` says in words which."""

    what: str
    pattern: str = r"(?s).*\S.*"

    def check(self, name: str, value: Any) -> None:
        """Raises ValueError with one sentence for a value that is not allowed."""
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise ValueError(f"the option {name} is {value!r}; it must be {self.what}")


@dataclass(frozen=True)
class Texts:
    """A text, or a list of texts, none of them empty; `what` says in words which."""

    what: str

    def check(self, name: str, value: Any) -> None:
        """Raises ValueError with one sentence for a value that is not allowed."""
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not texts or not all(isinstance(one, str) and one.strip() for one in texts):
            raise ValueError(f"the option {name} must be {self.what}, or a list of such")


ONOFF = OneOf((True, False))


@dataclass(frozen=True)
class Backend:
    """One way to run experts of the kinds `kinds`.

    `build(kind, weights, builder, **options)` makes the expert of a kind; it should load nothing yet, and may raise
    ExpertUnavailable. `weights` says in words what may stand for weights in a preset; None: the backend brings its
    own. `options` are the other settings that it takes.
    """

    name: str
    kinds: tuple[str, ...]
    build: Callable[..., Expert]
    weights: str | None = None
    options: Mapping[str, Setting] = field(default_factory=lambda: MappingProxyType({}))
