"""One photograph and what people wrote about it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moai.data.photographs.stored import Stored
from perception.scene import Box, Scene, TextLine


@dataclass(frozen=True)
class LabelledBox:
    """One thing: `box` in shares of width and height, x1 y1 x2 y2 in 0..1. `crowd`: it covers a group, or may."""

    label: str
    box: Box
    crowd: bool = False


@dataclass(frozen=True)
class Photograph:
    """A photograph of `width` x `height` pixels, as people annotated it.

    `path` names it; `read` gives its file, also from a part of a packed folder. `exhaustive`: everything that one of
    the labels of its folder names has a box, so that what has none is not there. `squashed`: it was made square by
    changing its proportions. The other fields are as `moai.data.photographs.annotations` says, boxes in 0..1.
    """

    path: Path
    dataset: str
    width: int
    height: int
    boxes: tuple[LabelledBox, ...] = ()
    captions: tuple[str, ...] = ()
    questions: tuple[Mapping[str, Any], ...] = ()
    caption_pairs: tuple[Mapping[str, Any], ...] = ()
    spatial_statements: tuple[Mapping[str, Any], ...] = ()
    text_lines: tuple[TextLine, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    exhaustive: bool = False
    squashed: bool = False
    stored: Stored | None = field(default=None, repr=False, compare=False)
    seen: str | None = field(default=None, repr=False, compare=False)
    """The scene that its folder holds, as JSON: thousands of them with their masks would fill the memory."""

    @property
    def scene(self) -> Scene | None:
        """What experts saw in it, where its folder holds that; made anew each time."""
        return None if self.seen is None else Scene.from_dict(json.loads(self.seen))

    def read(self) -> bytes | Path:
        """What `perception.load_image` takes; raises ValueError for a part of a folder that is gone or damaged."""
        return self.path if self.stored is None else self.stored.read()


def labels_of(photographs: Sequence[Photograph]) -> tuple[str, ...]:
    """Every label that the boxes have, sorted."""
    return tuple(sorted({one.label for photograph in photographs for one in photograph.boxes}))
