"""The stages of a batch on Ray Data: reading on CPUs, then actors that look and answer."""

import logging
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from moai.serving.batch.inputs import Unit
from moai.serving.batch.stages import BLOCK_BYTES, Answers, Asking, Both, Experts, decode
from moai.terminal import sentence

if TYPE_CHECKING:
    import pyarrow

READING, LOOKING = 0.25, 0.75
"""Shares of a core that a task of reading and a worker ask Ray for: together one, so that both find a place."""
TRIES_OF_A_LOT = 2
"""How often a lot is given to another worker when the one that had it died; what is left then is tried row by row."""


@dataclass(frozen=True)
class Layout:
    """Actors of each kind: `workers` that hold experts, and the model too where there are no `gpus`."""

    workers: int
    gpus: int
    cores: int

    @classmethod
    def of(cls, ray: ModuleType, workers: int | None, cpu: bool) -> "Layout":
        """What the machine or cluster has room for; with `cpu` its GPUs are left alone."""
        there = ray.cluster_resources()
        cores = max(int(there.get("CPU", 1)), 1)
        gpus = 0 if cpu else int(there.get("GPU", 0))
        return cls(workers or max(cores - gpus, 1), gpus, cores)


@dataclass(frozen=True)
class Problem:
    """A sentence that ends the whole batch, such as a model that cannot be loaded."""

    sentence: str


def lines(
    ray: ModuleType,
    units: Sequence[tuple[Unit, Sequence[range]]],
    asking: Asking,
    experts: Sequence[str],
    layout: Layout,
) -> Iterator[tuple[int, bytes]]:
    """Rows of the units, in the ranges that are wanted, as lines of the output with their numbers, in any order.

    Rows at which workers died again and again are missing. Raises ValueError with one sentence when the model cannot be
    loaded, or the cluster is lost.
    """
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it tells of every worker that dies
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = BLOCK_BYTES
    context.max_errored_blocks = -1  # what no worker survived is missing in the end
    data = ray.data.from_items([pickle.dumps(one) for one in units], override_num_blocks=len(units))
    data = data.map_batches(_Reader(), batch_size=1, batch_format="pyarrow", num_cpus=READING)
    asking = replace(asking, threads=max(layout.cores // layout.workers, 1))
    core = LOOKING * min(layout.cores / layout.workers, 1)
    if layout.gpus:
        data = _acted(data, Experts, (replace(asking, device="cpu"),), layout.workers, asking.batch, num_cpus=core)
        data = _acted(data, Answers, (asking, experts), layout.gpus, asking.batch, num_cpus=READING, num_gpus=1)
    else:
        data = _acted(data, Both, (asking,), layout.workers, asking.batch, num_cpus=core)
    try:
        for table in data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for one in unpacked(table):
                if isinstance(one, Problem):
                    raise ValueError(one.sentence)
                yield one
    except ray.exceptions.RayError as error:
        raise ValueError(
            f"the workers were lost ({sentence(error)[-300:]}); run the same command again: what is done stays done"
        ) from error


def _acted(data, stage: Callable, arguments: tuple, actors: int, rows: int, **resources):
    import ray.data

    # All at once; one is enough to go on with where nodes are lost. Few lots wait at each, so that none idles.
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors, max_tasks_in_flight_per_actor=2)
    resources |= {"max_restarts": -1, "max_task_retries": TRIES_OF_A_LOT}
    shape = {"batch_size": rows, "batch_format": "pyarrow"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray has announced other names for how often something is tried, and no more
        return data.map_batches(_Stage, fn_constructor_args=(stage, arguments), compute=pool, **shape, **resources)


class _Reader:
    """`decode` between tables."""

    def __call__(self, table: "pyarrow.Table") -> "Iterator[pyarrow.Table]":
        try:
            for lot in decode([pickle.loads(one.as_py()) for one in table["item"]]):
                yield packed(lot)
        except ValueError as error:
            yield packed([Problem(sentence(error))])


class _Stage:
    """One of the stages between tables, as Ray calls it; what keeps it from starting is handed on as a Problem."""

    def __init__(self, stage: Callable, arguments: tuple):
        self.problem = None
        try:
            self.stage = stage(*arguments)
        except (ValueError, OSError, ImportError) as error:
            self.problem = Problem(sentence(error))

    def __call__(self, table: "pyarrow.Table") -> "pyarrow.Table":
        works = unpacked(table)
        problems = [self.problem] if self.problem else [one for one in works if isinstance(one, Problem)]
        return packed(problems or self.stage(works))


def packed(works: Sequence[Any]) -> "pyarrow.Table":
    """A table for Ray of what is handed on."""
    import pyarrow

    return pyarrow.table({"work": pyarrow.array([pickle.dumps(one, 5) for one in works], pyarrow.large_binary())})


def unpacked(table: "pyarrow.Table") -> list[Any]:
    """What was handed on."""
    return [pickle.loads(one.as_py()) for one in table["work"]]
