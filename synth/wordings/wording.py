"""What a wording is: the templates that training sees, and paraphrases held out of it."""

from typing import NamedTuple


class Wording(NamedTuple):
    """Templates of one form of question, or of a part of one; the two tuples share none."""

    train: tuple[str, ...]
    heldout: tuple[str, ...]

    def of(self, split: str) -> tuple[str, ...]:
        """`split` is "train" or "heldout", else ValueError."""
        if split not in ("train", "heldout"):
            raise ValueError(f"wording must be 'train' or 'heldout', got {split!r}")
        return self.train if split == "train" else self.heldout
