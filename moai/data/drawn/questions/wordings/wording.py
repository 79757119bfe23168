"""What a wording is: the templates that training sees, and paraphrases held out of it."""

from typing import NamedTuple

SPLITS = ("train", "varied", "heldout")
"""What a question is worded with: plain templates of training, all of training, or paraphrases held out of it."""


class Wording(NamedTuple):
    """Templates of one form of question, or of a part of one; no two of the tuples share any.

    `varied` are further templates for training, often many more than there are in `train`.
    """

    train: tuple[str, ...]
    heldout: tuple[str, ...]
    varied: tuple[str, ...] = ()

    def of(self, split: str) -> tuple[str, ...]:
        """The templates of one of `SPLITS`; "varied" takes in those of "train"."""
        return {"train": self.train, "varied": self.train + self.varied, "heldout": self.heldout}[split]
