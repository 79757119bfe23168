"""A source's examples as the endless data set of a training run."""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from moai.data.example import Example
from moai.data.mixture import Mixture
from moai.data.rows import Rows, Sample

_MAX_EMPTY = 10_000
"""Positions in a row without a sample after which the source is taken to be empty."""


class Samples(IterableDataset):
    """Worker k of n reads the positions first + k, first + k + n, ...; a run that resumes starts behind those it read.

    `seed` is for what is random about rows of examples without a random generator of their own.
    """

    def __init__(self, source: Mixture, rows: Rows, seed: int = 0, position: int = 0) -> None:
        self.source, self.rows, self.seed, self.position = source, rows, seed, position
        self.process, self.processes = 0, 1

    def share(self, process: int, processes: int) -> None:
        """Reads the part of one of several processes that train one model, each with as many workers: together they
        read what one would."""
        self.process, self.processes = process, processes

    @property
    def class_names(self) -> tuple[str, ...]:
        """What patches may be labelled as, by the number in `patch_labels`."""
        return tuple(self.source.class_names)

    def held_out(self, count: int) -> list[Example]:
        """Up to `count` examples that are never trained on."""
        return self.source.held_out(count)

    def reports(self) -> list[str]:
        """Sentences on what of the data could not be used so far, in all worker processes."""
        return [told for one in (self.source, self.rows) if hasattr(one, "reports") for told in one.reports()]

    def examined(self, example: Example, number: int) -> Sample | None:
        """The sample of an example that is not trained on, with its number for what is random; None as `sample`."""
        return self.rows.sample([example], np.random.default_rng((self.seed, number, 1)))

    def sample(self, position: int) -> Sample | None:
        """The sample of one position, every array with a fixed shape; None where there is nothing to learn."""
        rng = np.random.default_rng((self.seed, position))
        return self.rows.sample(self.source.examples(position), rng)

    def __iter__(self) -> Iterator[Sample]:
        """Raises ValueError for a source that gives nothing for very long, or as the source does."""
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        if info is not None:
            torch.set_num_threads(1)
            cv2.setNumThreads(0)
        position, empty = self.position + worker * self.processes + self.process, 0
        while True:
            sample = self.sample(position)
            position += workers * self.processes
            if sample is not None:
                empty = 0
                yield sample
            elif (empty := empty + 1) >= _MAX_EMPTY:
                why = "".join(f"; {told}" for told in self.reports())
                raise ValueError(f"the data gave nothing to learn from at {_MAX_EMPTY:,} positions in a row{why}")
