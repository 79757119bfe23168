"""What the declaration of a backend holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from perception.expert import Expert


@dataclass(frozen=True)
class Option:
    """A number that a backend can be given: of type `type`, from `low` to `high`."""

    type: type[int] | type[float]
    low: float
    high: float

    def check(self, name: str, value) -> None:
        """Raises ValueError with one sentence for a value that is not allowed."""
        fits = isinstance(value, (int, self.type)) and not isinstance(value, bool)
        if not fits or not self.low <= value <= self.high:
            what = "a whole number" if self.type is int else "a number"
            raise ValueError(f"the option {name} is {value!r}; it must be {what} from {self.low} to {self.high}")


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
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
