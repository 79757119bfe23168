"""Conversations as a source of training data: in random order for ever, with what experts see in the pictures."""

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from moai.data.conversations.conversation import Conversations, RowError
from moai.data.example import Example, Meta
from moai.data.rows import ImageRows, Rows, TextRows
from moai.data.skipped import Skipped
from perception.cache import CachedPerception
from perception.images import ImageError, pixels_of
from perception.perception import Perception
from perception.scene import Scene

READING = ("experts_from", "cache", "hold_out")
"""Settings of every source of conversations, beside those of its form."""


class ConversationSource:
    """Examples of `conversations`, each one dialogue about its picture, in an order that `seed` decides for each epoch.

    `rows` are what examples become; they say whether pictures and what experts see are needed. `experts_from`: the
    preset of experts, None for the one that the model names. `cache`: the folder that keeps what they see (see
    `perception.cache`); what is missing there is looked at by the process that reads, on the CPU, and kept.
    `hold_out`: rows kept from training, all those of some pictures, chosen by the pictures' names.

    Rows that cannot be used are passed over and listed in `skipped`; those at which an expert failed are used without
    it and listed in `unheard`. Raises ValueError when no row is left, and for experts or a cache that do not fit.
    """

    class_names = ()

    def __init__(
        self,
        conversations: Conversations,
        rows: Rows,
        seed: int = 0,
        experts_from: str | Path | None = None,
        cache: str | Path | None = None,
        hold_out: int = 0,
    ) -> None:
        if isinstance(hold_out, bool) or not isinstance(hold_out, int) or hold_out < 0:
            raise ValueError(f"hold_out is a number of rows from 0 on, got {hold_out!r}")
        self.conversations, self.seed = conversations, seed
        self.skipped = Skipped("rows skipped")
        self.broken: set[int] = set()
        self.unheard = Skipped("pictures at which an expert failed")
        usable, groups = usable_rows(conversations, self.skipped, text_alone=isinstance(rows, TextRows))
        self.held, self.trained = _parted(usable, groups, hold_out)
        silent = isinstance(rows, ImageRows) and not rows.experts
        named = rows.experts_from if experts_from is None else experts_from
        self.look = None if silent else looking(str(named), None if cache is None else str(cache))

    def examples(self, position: int) -> Iterator[Example]:
        """The dialogue at a position, or none where it cannot be used; raises ValueError once no row could be."""
        epoch, place = divmod(position, len(self.trained))
        row = int(self.trained[_order(self.seed, epoch, len(self.trained))[place]])
        example = self.example(row)
        if example is not None:
            yield example
            return
        self.broken.add(row)
        if len(self.broken) == len(self.trained):
            raise ValueError(f"no row can be trained on; {self.skipped.sentence()}")

    def held_out(self, count: int) -> list[Example]:
        """Up to `count` of the rows that are kept from training, always the same."""
        found = []
        for row in self.held:
            if len(found) >= count:
                break
            example = self.example(int(row))
            found += [] if example is None else [example]
        return found

    def example(self, row: int) -> Example | None:
        """The dialogue of a row; None, and a note in `skipped`, when it cannot be used."""
        name = self.conversations.name(row)
        try:
            one = self.conversations[row]
            pixels = None if one.picture is None else pixels_of(one.picture)
        except (RowError, ImageError) as error:
            self.skipped.note(name, str(error))
            return None
        return Example(pixels, self._scene(pixels, name), dialogue=one.messages, meta=Meta(name=name))

    def reports(self) -> list[str]:
        """Sentences on what was passed over so far, in all processes that read this source."""
        return [told for one in (self.skipped, self.unheard) if (told := one.sentence()) is not None]

    def _scene(self, pixels: np.ndarray | None, name: str) -> Scene | None:
        if self.look is None or pixels is None:
            return None
        scene = self.look(pixels)
        for warning in scene.warnings:
            self.unheard.note(name, warning)
        return scene


def conversation_source(
    opened: Callable[..., Conversations],
    rows: Rows,
    seed: int,
    **settings: Any,
) -> ConversationSource:
    """The source of what `opened` makes of `settings`, those of `READING` apart."""
    reading = {name: settings.pop(name) for name in READING if name in settings}
    return ConversationSource(opened(**settings), rows, seed, **reading)


@lru_cache(maxsize=4)
def looking(experts_from: str, cache: str | None) -> Perception | CachedPerception:
    """The experts of a preset, the same for all sources that ask: each process holds their networks once."""
    perception = Perception(experts_from=experts_from, device="cpu", cache_size=0)
    return perception if cache is None else CachedPerception(perception, cache, filled=True)


def usable_rows(
    conversations: Conversations, skipped: Skipped, text_alone: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows that can be used, and for each a 64-bit digest of its group; the others go into `skipped`.

    `text_alone`: whether rows without a picture can be. Raises ValueError when none is left.
    """
    usable, groups = [], []
    for row in range(len(conversations)):
        try:
            one = conversations.check(row)
            if one.picture is None and not text_alone:
                raise RowError("it has no picture, and this stage (images, expert_words) learns from pictures")
        except RowError as error:
            skipped.note(conversations.name(row), str(error))
            continue
        usable.append(row)
        groups.append(int.from_bytes(hashlib.blake2b(one.group.encode(), digest_size=8).digest(), "big"))
    if not usable:
        raise ValueError(f"no row can be trained on; {skipped.sentence() or 'there is none'}")
    return np.array(usable), np.array(groups, np.uint64)


def _parted(rows: np.ndarray, groups: np.ndarray, hold_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are held out, at least as many as asked for, and the rest; whole groups, in the order of digests."""
    order = np.argsort(groups, kind="stable")
    if hold_out == 0:
        return rows[:0], rows
    if hold_out < len(rows):
        hold_out = int(np.searchsorted(groups[order], groups[order[hold_out - 1]], side="right"))
    if hold_out >= len(rows):
        raise ValueError(f"hold_out leaves nothing to train on: the data has {len(rows):,} rows that can be used")
    return rows[order[:hold_out]], np.sort(rows[order[hold_out:]])


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)
