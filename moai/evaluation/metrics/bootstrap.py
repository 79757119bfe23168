"""Intervals of means by the bootstrap over pictures."""

from collections.abc import Hashable, Sequence

import numpy as np

RESAMPLES = 2000


def interval(
    marks: Sequence[Sequence[float]], pictures: Sequence[Sequence[Hashable]], seed: int = 0
) -> tuple[float, float, float]:
    """Mean and the 2.5th and 97.5th percentile of its bootstrap distribution, pictures being drawn with replacement.

    marks[t][i] is the mark of question i of task t, asked about pictures[t][i]; of several tasks it is the mean of
    their means. Raises ValueError where a task has no marks. Source: Efron and Tibshirani 1993, "An Introduction to the
    Bootstrap", section 13.3.
    """
    if not marks or not all(len(one) for one in marks):
        raise ValueError("an interval needs at least one mark of every task")
    names = list(dict.fromkeys(name for one in pictures for name in one))
    places = {name: place for place, name in enumerate(names)}
    drawn = np.random.default_rng(seed).multinomial(len(names), [1 / len(names)] * len(names), RESAMPLES)
    means, spread = [], []
    for values, of in zip(marks, pictures, strict=True):
        index = [places[name] for name in of]
        sums = np.bincount(index, weights=np.asarray(values, float), minlength=len(names))
        counts = np.bincount(index, minlength=len(names))
        asked = drawn @ counts
        means.append(sums.sum() / counts.sum())
        spread.append(np.where(asked > 0, (drawn @ sums) / np.maximum(asked, 1), np.nan))
    whole = np.nanmean(np.stack(spread), axis=0)
    low, high = np.nanpercentile(whole, [2.5, 97.5])
    return float(np.mean(means)), float(low), float(high)
