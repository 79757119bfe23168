"""Photographs that people annotated as a source of training data: questions made of what they wrote."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import numpy as np

from moai.data.conversations.source import looking
from moai.data.draws import pick, weighted
from moai.data.example import Example, Meta
from moai.data.photographs.absence import Absence
from moai.data.photographs.annotations import read_photographs
from moai.data.photographs.asking import Asking
from moai.data.photographs.makers import ask
from moai.data.photographs.photograph import Photograph, labels_of
from moai.data.photographs.relettered import relettered
from moai.data.photographs.varied import dimmed, patch_classes, varied, wordless
from moai.data.rows import ImageRows, Rows, TextRows, WordRows
from moai.data.skipped import Skipped
from perception.images import ImageError, pixels_of
from perception.scene import Scene

_TURNS = (2, 5)
"""A dialogue has at least the first and fewer than the second number of questions."""
_COARSE = 0.2
"""How often a photograph whose boxes are known is so coarse that the experts alone can tell: who learns from a few
thousand photographs for long would otherwise know them by heart, and hear no expert."""


class Photographs:
    """Examples of the photographs in `folder`, endless, each with a photograph and questions that `seed` draws.

    Beside a photograph stands what the experts of `experts_from` (None: the preset that the model names) really see:
    the scene in the folder itself, or else that of `cache`, or what is looked at now. The answers are people's, even
    where the experts err. `dialogues`: the share of examples that hold a conversation of several questions.
    `shares`: how often photographs are drawn, by what the name of their data set begins with, "" for the rest; by
    default in proportion to the root of their number. `hold_out`: photographs kept from training. `vary`: each time
    they are mirrored, cut or lit otherwise, plates and receipts get other digits and letters, and some pictures are so
    coarse that the experts alone can tell.

    Raises ValueError as `read_photographs`, for settings out of range, and for experts or a cache that do not fit.
    """

    def __init__(
        self,
        rows: Rows,
        seed: int,
        folder: str | Path,
        experts_from: str | Path | None = None,
        cache: str | Path | None = None,
        dialogues: float = 0.15,
        shares: Mapping[str, float] | None = None,
        hold_out: int = 0,
        vary: bool = True,
    ) -> None:
        if isinstance(dialogues, bool) or not isinstance(dialogues, int | float) or not 0 <= dialogues <= 1:
            raise ValueError(f"dialogues is the share of examples with several turns, within 0 to 1, got {dialogues!r}")
        if isinstance(hold_out, bool) or not isinstance(hold_out, int) or hold_out < 0:
            raise ValueError(f"hold_out is a number of photographs from 0 on, got {hold_out!r}")
        self.rows, self.seed, self.dialogues = rows, seed, dialogues
        self.skipped = Skipped("photographs skipped")
        self.unheard = Skipped("photographs at which an expert failed")
        photographs = sorted(read_photographs(folder, self.skipped), key=lambda one: _digest(one.path.name))
        if hold_out >= len(photographs):
            raise ValueError(f"hold_out leaves nothing to train on: {folder} has {len(photographs):,} photographs")
        self.held, trained = photographs[:hold_out], photographs[hold_out:]
        self.vary = vary
        self.class_names = labels_of([one for one in photographs if one.exhaustive])
        self.absences = Absence.of_boxes(trained), Absence.of_captions(trained)
        self.companies = sorted({one.fields["company"] for one in trained if one.fields.get("company")})
        self.groups, self.weights = _grouped(trained, shares)
        self.pictures = isinstance(rows, ImageRows)
        self.silent = self.pictures and not rows.experts
        named = rows.experts_from if experts_from is None else experts_from
        unseen = any(one.seen is None for one in photographs)
        self.look = looking(str(named), None if cache is None else str(cache)) if unseen and not self.silent else None

    def examples(self, position: int) -> Iterator[Example]:
        """The examples of one position: one photograph, or as many as a row of text holds."""
        for number in range(self.rows.sizes.text_rows if isinstance(self.rows, TextRows) else 1):
            rng = np.random.default_rng((self.seed, position, number, 6))
            group = weighted(rng, self.groups, self.weights)
            example = self.example(pick(rng, group), rng, pick(rng, group))
            if example is not None:
                yield example

    def held_out(self, count: int) -> list[Example]:
        """Up to `count` of the photographs that are kept from training, one question each, always the same."""
        found = []
        for number, photograph in enumerate(self.held):
            example = self.example(photograph, np.random.default_rng((number, 7)), single=True)
            found += [] if example is None else [example]
            if len(found) >= count:
                break
        return found[:count]

    def example(
        self,
        photograph: Photograph,
        rng: np.random.Generator,
        other: Photograph | None = None,
        single: bool = False,
    ) -> Example | None:
        """A photograph and questions about it; None, and a note in `skipped`, when it cannot be used, and None where
        nothing is to be asked. `other`: a photograph that is unlike it."""
        name = photograph.path.name
        try:
            pixels = pixels_of(photograph.read()) if self.pictures or photograph.seen is None else None
        except (ImageError, ValueError) as error:
            self.skipped.note(name, str(error))
            return None
        scene = self._scene(photograph, pixels)
        if type(self.rows) is WordRows:
            return Example(None, scene, meta=Meta(rng=rng, name=name))
        coarse = False
        if self.vary and not single:
            photograph, scene = relettered(photograph, scene, rng, self.companies)
            if pixels is not None:
                photograph, pixels, scene = varied(photograph, pixels, scene, rng)
                coarse = scene is not None and photograph.exhaustive and rng.random() < _COARSE
                if coarse:
                    photograph, pixels = wordless(photograph), dimmed(pixels, rng)
        count = 1 if single else self.rows.sizes.questions
        asked = [turn for _, turn in ask(Asking(photograph, scene, self.absences, rng, other), count)]
        if not asked:
            return None
        dialogue: list[dict[str, str]] = []
        if not single and len(asked) >= _TURNS[0] and rng.random() < self.dialogues:
            length = min(int(rng.integers(*_TURNS)), len(asked))
            for question, answer in asked[-length:]:
                dialogue += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            asked = asked[:-length]
        classes = patch_classes(photograph, self.class_names) if self.pictures and not coarse else None
        meta = Meta(patch_classes=classes, rng=rng, name=name)
        return Example(pixels if self.pictures else None, scene, asked, meta, dialogue)

    def reports(self) -> list[str]:
        """Sentences on what was passed over so far, in all processes that read this source."""
        return [told for one in (self.skipped, self.unheard) if (told := one.sentence()) is not None]

    def _scene(self, photograph: Photograph, pixels: np.ndarray | None) -> Scene | None:
        if self.silent:
            return None
        scene = photograph.scene
        if scene is None and self.look is not None and pixels is not None:
            scene = self.look(pixels)
            for warning in scene.warnings:
                self.unheard.note(photograph.path.name, warning)
        return scene


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


def _grouped(
    photographs: list[Photograph], shares: Mapping[str, float] | None
) -> tuple[list[list[Photograph]], list[float]]:
    """Photographs by what of `shares` their data set begins with, or by data set; and how often each is drawn."""
    if shares is not None and not (
        isinstance(shares, Mapping)
        and all(isinstance(one, int | float) and not isinstance(one, bool) and one >= 0 for one in shares.values())
        and any(shares.values())
    ):
        raise ValueError(f"shares must map beginnings of data sets' names to weights from 0 on, got {shares!r}")

    def key(photograph: Photograph) -> str | None:
        if shares is None:
            return photograph.dataset
        fitting = [one for one in shares if photograph.dataset.startswith(one)]
        return max(fitting, key=len, default=None)

    named = [one for one in photographs if key(one) is not None]
    groups = {name: list(some) for name, some in groupby(sorted(named, key=lambda one: str(key(one))), key=key)}
    weights = {name: len(some) ** 0.5 if shares is None else shares[str(name)] for name, some in groups.items()}
    chosen = [name for name in groups if weights[name] > 0]
    if not chosen:
        names = ", ".join(sorted({one.dataset for one in photographs}))
        raise ValueError(f"shares leaves no photograph; the data sets are {names}")
    return [groups[name] for name in chosen], [weights[name] for name in chosen]
