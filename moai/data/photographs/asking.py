"""What makers of questions are given: one photograph, what may be asked about it, and a random generator."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from moai.data.draws import pick
from moai.data.nouns import plural, plural_noun, singular_noun
from moai.data.photographs.photograph import LabelledBox, Photograph
from moai.data.photographs.words import labels_hinted, labels_named
from perception.kinds.ocr import OCR_THRESHOLD
from perception.scene import Scene

Turn = tuple[str, str]


class Chooser(Protocol):
    """Chooses labels to ask for, see `moai.data.photographs.absence.Absence`."""

    def present(self, there: Collection[str], rng: np.random.Generator) -> str | None:
        """One of the labels that are there."""
        ...

    def absent(self, maybe: Collection[str], rng: np.random.Generator) -> str | None:
        """A label that is not there."""
        ...


PICTURE = ("image", "image", "image", "picture", "photo")


class Asking:
    """One photograph: `counts` of things by label, without labels of which a box may cover a group (`crowded`), and
    `singles`, things whose label occurs once. `there` are labels that are surely there, `maybe` these and those that
    may be. `scene` is what experts see in it, or None. `absence` chooses labels, None where it is not known what is
    missing. `other` is another photograph, whose captions do not fit."""

    def __init__(
        self,
        photograph: Photograph,
        scene: Scene | None,
        absences: tuple[Chooser, Chooser],
        rng: np.random.Generator,
        other: Photograph | None = None,
    ) -> None:
        """absences: for exhaustive photographs, and for those with captions alone."""
        self.photograph, self.scene, self.rng, self.other = photograph, scene, rng, other
        self.crowded = {one.label for one in photograph.boxes if one.crowd}
        self.boxes = [one for one in photograph.boxes if one.label not in self.crowded]
        self.counts = Counter(one.label for one in self.boxes)
        self.singles: list[LabelledBox] = [one for one in self.boxes if self.counts[one.label] == 1]
        known, told = absences
        self.absence = known if photograph.exhaustive else told if photograph.captions else None
        if photograph.exhaustive:
            self.there = self.maybe = frozenset(one.label for one in photograph.boxes)
        else:
            self.there = labels_named(photograph.captions)
            self.maybe = self.there | labels_hinted(photograph.captions)

    @cached_property
    def read(self) -> str:
        """All that the experts say they read, in capital letters and digits alone; "" without a scene."""
        lines = [] if self.scene is None else self.scene.text_lines
        return squeezed("".join(line.text for line in lines if line.score >= OCR_THRESHOLD))

    def legible(self, text: str) -> bool:
        """Whether an answer can be given: it stands in what the experts read. A small picture itself shows no letters,
        and who answers nevertheless learns to invent them."""
        return self.scene is None or squeezed(text) in self.read

    def present(self) -> str | None:
        """A label that is there."""
        return None if self.absence is None else self.absence.present(self.there, self.rng)

    def absent(self) -> str | None:
        """A label that is surely not there; None where that is not known."""
        return None if self.absence is None else self.absence.absent(self.maybe, self.rng)

    def noun(self, label: str) -> str:
        """How one of a label is called: mostly the label itself, as benchmarks have it ("a scissors")."""
        return label if self.coin(0.7) else singular_noun(label)

    def nouns(self, label: str) -> str:
        """How several are called."""
        return plural(label) if self.coin(0.7) else plural_noun(label)

    def say(self, templates: Sequence[str], **slots: str) -> str:
        """One of the templates, filled."""
        return pick(self.rng, templates).format(pic=pick(self.rng, PICTURE), **slots)

    def coin(self, chance: float = 0.5) -> bool:
        """True that often."""
        return self.rng.random() < chance


def squeezed(text: str) -> str:
    """Capital letters and digits alone, of letters that look alike one."""
    return re.sub("[^A-Z0-9]", "", text.upper()).translate(_ALIKE)


def yes(true: bool) -> str:
    """ "Yes" or "No"."""
    return "Yes" if true else "No"


_ALIKE = str.maketrans("O", "0")
