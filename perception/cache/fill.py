"""Looking at many pictures once, so that later readers find their scenes in the cache."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any

from perception.cache.cached import CachedPerception
from perception.images import ImageError, pixels_of
from perception.processes.pool import own, pool

AT_ONCE, OF_MANY = 16, 4
"""Pictures that a process looks at together when it is alone, and when it is one of many: those have few cores each,
and would all wait for the one with the last lot."""
_WAITING = 2
"""Such lots that wait for each process."""


@dataclass(frozen=True)
class Looked:
    """What became of a picture: `there` before, `new`, or neither; then `problem` says in a sentence why."""

    name: str
    there: bool = False
    new: bool = False
    problem: str | None = None


def fill(cached: CachedPerception, pictures: Iterable[tuple[str, Any]], workers: int = 1) -> Iterator[Looked]:
    """Looks at every picture that is not in the cache yet, and says of each what became of it, in any order.

    pictures: pairs of a name and what `load_image` takes. With several `workers`, as many processes, each with experts
    of its own. A broken picture, or one at which an expert fails, is reported and the rest goes on. Raises ValueError
    for fewer workers than one, and where experts fail at all of the first ones; ChildProcessError when a process died.
    """
    if workers < 1:
        raise ValueError(f"at least one worker is needed, got {workers}")
    lots = _lots(iter(pictures), AT_ONCE if workers == 1 else OF_MANY)
    results = map(lambda lot: look(cached, lot), lots) if workers == 1 else _side_by_side(cached, lots, workers)
    first: list[Looked] = []
    for looked in results:
        if len(first) < AT_ONCE:
            first += looked
            if len(first) < AT_ONCE:
                continue
            yield from _usable(first)
        else:
            yield from looked
    if len(first) < AT_ONCE:
        yield from _usable(first)


def _usable(first: list[Looked]) -> list[Looked]:
    """What became of the first pictures; ValueError where nothing but one and the same problem did."""
    problems = {one.problem for one in first}
    if len(first) > 1 and len(problems) == 1 and None not in problems:
        raise ValueError(f"no picture can be looked at: {first[0].problem}")
    return first


def _lots(pictures: Iterator[tuple[str, Any]], count: int) -> Iterator[list[tuple[str, Any]]]:
    while lot := list(islice(pictures, count)):
        yield lot


def look(cached: CachedPerception, pictures: Sequence[tuple[str, Any]]) -> list[Looked]:
    """Looks at a few pictures together; all that is wrong is told in what is returned."""
    done, loaded = [], []
    for name, picture in pictures:
        try:
            pixels = pixels_of(picture)
        except ImageError as error:
            done.append(Looked(name, problem=str(error)))
            continue
        if cached.kept(pixels.digest) is not None:
            done.append(Looked(name, there=True))
        else:
            loaded.append((name, pixels))
    scenes = cached.batch([pixels for _, pixels in loaded])
    for (name, _), scene in zip(loaded, scenes, strict=True):
        problem = "; ".join(scene.warnings) or None
        done.append(Looked(name, new=problem is None, problem=problem))
    return done


def _look(pictures: Sequence[tuple[str, Any]]) -> list[Looked]:
    return look(own(), pictures)


def _side_by_side(cached: CachedPerception, lots: Iterable, workers: int) -> Iterator[list[Looked]]:
    processes = pool(cached, workers)
    waiting: deque[Future] = deque()
    try:
        for lot in lots:
            waiting.append(processes.submit(_look, lot))
            if len(waiting) >= workers * _WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a process that looked at pictures died, perhaps for want of memory; run the same command with fewer "
            "workers: what is done stays done"
        ) from error
    finally:
        processes.shutdown(wait=True, cancel_futures=True)
