"""Which labels are asked for, and which where they are missing, so that a label alone does not tell the answer."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from moai.data.draws import pick, weighted
from moai.data.photographs.photograph import Photograph, labels_of
from moai.data.photographs.words import CONSPICUOUS, labels_hinted, labels_named

HOW = ("random", "popular", "adversarial")
"""How an absent label is drawn: any, one that many pictures hold, or one that goes along with what is there (POPE,
arXiv 2305.10355)."""
_POPULAR = 12
_COMPANIONS = 12
_SURVEYED, _ROUNDS = 800, 8
_RARE, _COMMON = 0.02, 0.3
"""How often labels that most pictures hold are asked for beside others, and where there is nothing else."""


class Absence:
    """What is asked for about pictures of which it is known what they hold of `labels`.

    scenes: of some pictures, those that are there, and those that are there or may be.
    """

    def __init__(self, labels: Sequence[str], scenes: Sequence[tuple[Collection[str], Collection[str]]]) -> None:
        self.labels = tuple(labels)
        number = {label: index for index, label in enumerate(self.labels)}
        there = np.zeros((len(scenes), len(self.labels)), bool)
        for row, (present, _) in enumerate(scenes):
            there[row, [number[label] for label in present if label in number]] = True
        self.often = dict(zip(self.labels, there.sum(axis=0).tolist(), strict=True))
        self.popular = sorted(self.labels, key=lambda label: (-self.often[label], label))[:_POPULAR]
        together = there.T.astype(np.int64) @ there
        np.fill_diagonal(together, 0)
        self.companions = {
            label: [self.labels[at] for at in np.argsort(-row, kind="stable")[:_COMPANIONS] if row[at]]
            for label, row in zip(self.labels, together, strict=True)
        }
        # What most pictures hold would be a "Yes" for anyone who never looks, and is asked for less.
        self.common = frozenset(label for label, count in self.often.items() if count > len(scenes) / 2)
        self.asked = {
            label: max(count, 1) ** -0.5 * (_RARE if label in self.common else 1) for label, count in self.often.items()
        }
        self.weights = self._weights(scenes[:: max(len(scenes) // _SURVEYED, 1)])

    @classmethod
    def of_boxes(cls, photographs: Sequence[Photograph]) -> "Absence":
        """Of exhaustive photographs and all labels of their boxes."""
        exhaustive = [one for one in photographs if one.exhaustive]
        scenes = [frozenset(box.label for box in one.boxes) for one in exhaustive]
        return cls(labels_of(exhaustive), [(one, one) for one in scenes])

    @classmethod
    def of_captions(cls, photographs: Sequence[Photograph]) -> "Absence":
        """Of photographs with captions alone, and labels that people name whenever they see them."""
        captioned = [one.captions for one in photographs if one.captions and not one.exhaustive]
        some = captioned[:: max(len(captioned) // _SURVEYED, 1)]
        return cls(sorted(CONSPICUOUS), [(labels_named(one), labels_hinted(one)) for one in some])

    def present(self, there: Collection[str], rng: np.random.Generator) -> str | None:
        """One of the labels that are there, as often as it should be asked for; None when none is to be asked for."""
        labels = sorted(label for label in there if label in self.asked)
        if not labels or (self.common.issuperset(labels) and rng.random() > _COMMON):
            return None
        return weighted(rng, labels, [self.asked[label] for label in labels])

    def absent(self, maybe: Collection[str], rng: np.random.Generator) -> str | None:
        """A label that is not one of those that may be there, drawn in one of three ways; None where there is none."""
        how = pick(rng, HOW)
        pool: Sequence[str] = self.popular if how == "popular" else self.labels
        if how == "adversarial":
            known = sorted(label for label in maybe if label in self.companions)
            pool = self.companions[pick(rng, known)] if known else ()
        pool = [label for label in pool if label not in maybe]
        return weighted(rng, pool, [self.weights[label] for label in pool]) if pool else None

    def _weights(self, scenes: Sequence[tuple[Collection[str], Collection[str]]]) -> dict[str, float]:
        """How likely each absent label is drawn, so that it is asked for as often where it is missing as where it is
        there: set in rounds over some pictures, for all three ways together."""
        yes = Counter[str]()
        for there, _ in scenes:
            total = sum(self.asked.get(label, 0) for label in there)
            yes.update({label: self.asked[label] / total for label in there if label in self.asked})
        weights = {label: yes[label] + 0.3 for label in self.labels}
        for _ in range(_ROUNDS):
            no = Counter[str]()
            for _, maybe in scenes:
                known = [label for label in maybe if label in self.companions]
                pools = [self.labels, self.popular, *(self.companions[label] for label in known)]
                for pool in pools:
                    missing = [label for label in pool if label not in maybe]
                    share = 1 / 3 if pool is self.labels or pool is self.popular else 1 / 3 / len(known)
                    total = sum(weights[label] for label in missing)
                    no.update({label: share * weights[label] / total for label in missing})
            for label in self.labels:
                # Damped and bounded, as few pictures say little about a rare label.
                weights[label] = min(max(weights[label] * ((yes[label] + 1) / (no[label] + 1)) ** 0.7, 0.05), 1000.0)
        return weights
