"""Single random draws, many times cheaper than those of numpy's Generator."""

from collections.abc import Sequence

import numpy as np


def pick(rng: np.random.Generator, items: Sequence):
    """One item, each as likely."""
    # One float draw costs a fraction of rng.choice or rng.integers, and questions are nearly all single draws.
    return items[int(rng.random() * len(items))]


def weighted(rng: np.random.Generator, items: Sequence, weights: Sequence[float]):
    """One item, as likely as its weight."""
    at = rng.random() * sum(weights)
    for item, weight in zip(items, weights, strict=True):
        at -= weight
        if at < 0:
            return item
    return items[-1]


def shuffled(rng: np.random.Generator, items: Sequence) -> list:
    """The items in random order, as a new list."""
    items = list(items)
    for last in range(len(items) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        items[last], items[other] = items[other], items[last]
    return items
