"""Names that things may have, far more than any detector knows: everyday things by group, and ImageNet's classes."""

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import numpy as np

from moai.data.draws import pick
from perception.networks.vocabulary import imagenet_labels
from perception.words import first_name

_IMAGENET = 0.15
"""Share of scenes with a thing of ImageNet, and of absent labels that are ImageNet's."""


@lru_cache(maxsize=1)
def groups() -> dict[str, tuple[str, ...]]:
    """Everyday things that go together, by the name of their group."""
    lines = [line.split(":") for line in (Path(__file__).parent / "things.txt").read_text().splitlines()]
    return {name: tuple(one.strip() for one in things.split(",")) for name, things in lines}


@lru_cache(maxsize=1)
def imagenet() -> tuple[str, ...]:
    """Names of ImageNet's classes, lower-case."""
    return tuple(dict.fromkeys(first_name(name).lower() for name in imagenet_labels(1000)))


@lru_cache(maxsize=1)
def members() -> dict[str, frozenset[str]]:
    """What shares a group with each everyday thing."""
    found: dict[str, set[str]] = {}
    for things in groups().values():
        for thing in things:
            found.setdefault(thing, set()).update(things)
    return {thing: frozenset(others) for thing, others in found.items()}


def cluster(rng: np.random.Generator, count: int) -> list[str]:
    """`count` different labels: most of one or two groups, some of any, a person more often than anything."""
    names = tuple(groups())
    main = [pick(rng, names), pick(rng, names)]
    chosen: dict[str, None] = {"person": None} if rng.random() < 0.3 else {}
    while len(chosen) < count:
        draw = rng.random()
        if draw < _IMAGENET / 2:
            chosen[pick(rng, imagenet())] = None
        else:
            chosen[pick(rng, groups()[pick(rng, main) if draw < 0.8 else pick(rng, names)])] = None
    return list(chosen)[:count]


class AnyLabel:
    """Chooses labels to ask for out of the whole vocabulary, as `moai.data.photographs.absence.Absence` does."""

    def present(self, there: Collection[str], rng: np.random.Generator) -> str | None:
        """One of the labels that are there."""
        return pick(rng, sorted(there)) if there else None

    def absent(self, maybe: Collection[str], rng: np.random.Generator) -> str | None:
        """A label that is not there and has no word in common with one that may be: half of the time one that goes
        along with what is there."""
        words = {word for label in maybe for word in label.split()}
        known = sorted(label for label in maybe if label in members())
        for _ in range(8):
            if known and rng.random() < 0.5:
                label = pick(rng, sorted(members()[pick(rng, known)]))
            elif rng.random() < _IMAGENET:
                label = pick(rng, imagenet())
            else:
                label = pick(rng, groups()[pick(rng, tuple(groups()))])
            if not words.intersection(label.split()) and not _close(label, maybe):
                return label
        return None


@lru_cache(maxsize=1)
def _alike() -> tuple[frozenset[str], ...]:
    """Labels of which a person could call one thing by several."""
    lines = (Path(__file__).parent / "alike.txt").read_text().splitlines()
    return tuple(frozenset(one.strip() for one in line.split(",")) for line in lines)


def _close(label: str, maybe: Collection[str]) -> bool:
    """Whether a person could call something that may be there by this label, too."""
    if any(label in names and not names.isdisjoint(maybe) for names in _alike()):
        return True
    # ImageNet tells sorts of dogs and birds apart that people do not.
    return label not in members() and any(other not in members() for other in maybe)
