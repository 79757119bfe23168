"""Several sources as one, each with its share."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from moai.data.example import Example, Source
from moai.models.modeling import IGNORED

_64_BITS = (1 << 64) - 1


class Mixture:
    """A source that takes from others in proportion to their weights, in a random order that `seed` decides.

    Item j of a source with share s has its place in time drawn from j / s to (j + 1) / s; all items stand in the
    order of their times. So each source is read in its own order, nothing is skipped or read twice, up to any position
    its part is its share give or take one for each source, and any position is found without those before it.
    Alone, a source is read as it is.

    Raises ValueError for no sources or weights that are not positive numbers.
    """

    def __init__(self, sources: Sequence[tuple[Source, float]], seed: int = 0) -> None:
        weights = [weight for _, weight in sources]
        if not weights:
            raise ValueError("a mixture needs at least one source")
        for weight in weights:
            if not (isinstance(weight, int | float) and 0 < weight < math.inf):
                raise ValueError(f"the weight of a source must be a positive number, got {weight!r}")
        self.sources = [source for source, _ in sources]
        self.shares = [weight / sum(weights) for weight in weights]
        self.seed = seed
        self.class_names = tuple(dict.fromkeys(name for one in self.sources for name in one.class_names))
        number = {name: index for index, name in enumerate(self.class_names)}
        self._numbers = [np.array([number[name] for name in one.class_names], int) for one in self.sources]

    def examples(self, position: int) -> Iterator[Example]:
        """The examples at a position of the whole, their classes numbered as in `class_names`."""
        chosen, own = self.place(position)
        numbers = self._numbers[chosen]
        same = np.array_equal(numbers, np.arange(len(numbers)))
        for example in self.sources[chosen].examples(own):
            classes = example.meta.patch_classes
            if same or classes is None:
                yield example
            else:
                renamed = np.where(classes == IGNORED, IGNORED, numbers[np.maximum(classes, 0)])
                yield replace(example, meta=replace(example.meta, patch_classes=renamed))

    def held_out(self, count: int) -> list[Example]:
        """Up to `count` examples that are never trained on, from all sources that keep some, in turns."""
        kept = [one.held_out(count) for one in self.sources if hasattr(one, "held_out")]
        in_turns = (one for some in itertools.zip_longest(*kept) for one in some if one is not None)
        return list(itertools.islice(in_turns, count))

    def reports(self) -> list[str]:
        """What the sources say of data that could not be used."""
        return [told for one in self.sources if hasattr(one, "reports") for told in one.reports()]

    def place(self, position: int) -> tuple[int, int]:
        """Which source, by number, and which of its positions stand at a position of the whole."""
        if len(self.shares) == 1:
            return 0, position
        # Items before a time are as many as it says, give or take one a source.
        start = max(position - len(self.shares), 0)
        begun = [self._before(source, start) for source in range(len(self.shares))]
        items = sorted(self._items(begun, position + 1 + len(self.shares)))
        return items[position - sum(begun)][1:]

    def _items(self, begun: list[int], end: float) -> Iterable[tuple[float, int, int]]:
        for source, item in enumerate(begun):
            while (time := self._time(source, item)) < end:
                yield time, source, item
                item += 1

    def _before(self, source: int, time: float) -> int:
        """How many items of a source stand before a time."""
        item = max(math.floor(time * self.shares[source]) - 1, 0)  # one less, should rounding have gone up
        while self._time(source, item) < time:
            item += 1
        return item

    def _time(self, source: int, item: int) -> float:
        return (item + _uniform(self.seed, source, item)) / self.shares[source]


def _uniform(*keys: int) -> float:
    """A number in [0, 1) that the keys decide (splitmix64, Steele et al. 2014)."""
    state = 0
    for key in keys:
        state = (state ^ (key & _64_BITS)) + 0x9E3779B97F4A7C15 & _64_BITS
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _64_BITS
        state ^= state >> 31
    return (state >> 11) / (1 << 53)
