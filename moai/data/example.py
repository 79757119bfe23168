"""What training reads: a picture, what experts see in it, and what is asked about it.

A source is a class in a file of its own and a line in `moai.data.registry`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from PIL import Image

from perception.scene import Scene


@dataclass(frozen=True, eq=False)
class Meta:
    """What else a source knows of an example.

    `experts`: full names of those that speak of it, None for all that the rows have. `patch_classes`: (H, W) integers
    over the picture's area, each an index into the source's `class_names`, or -100. `windows`: whether the experts'
    words may be asked to be continued. `weight`: of its answers in the loss, >= 0. `rng`: draws what is random about
    its rows; without, they are drawn from its position in the source. `name`: what a person finds it by.
    """

    experts: Sequence[str] | None = None
    patch_classes: np.ndarray | None = None
    windows: bool = True
    weight: float = 1.0
    rng: np.random.Generator | None = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class Example:
    """One picture and what is said about it.

    `image`: RGB, PIL or uint8 (H, W, 3) of any size, or None for text alone. `scene`: what experts see in it, or None.
    `turns`: pairs of question and answer, each on its own. They are read once, after the experts' windows have been
    drawn. `dialogue`: one conversation, each turn after the others: dicts with `role` and `content`, an optional
    system message first, then user and assistant in turns, the last the assistant's.
    """

    image: Image.Image | np.ndarray | None = None
    scene: Scene | None = None
    turns: Iterable[tuple[str, str]] = ()
    meta: Meta = field(default_factory=Meta)
    dialogue: Sequence[Mapping[str, str]] = ()


class Source(Protocol):
    """A stream of examples that can be entered at any position, so that workers share it and a run resumes.

    It may have two methods besides: `held_out(count) -> list[Example]`, up to `count` examples that are never trained
    on, always the same; and `reports() -> list[str]`, sentences on what of the data could not be used.
    """

    class_names: Sequence[str]
    """What patches may be labelled as; () for a source without labels."""

    def examples(self, position: int) -> Iterable[Example]:
        """The examples of one sample, `position` >= 0: one as a rule, none where there is nothing to learn. They are
        read in order, each made into rows before the next. The same position always gives the same examples."""
        ...
