"""What the experts saw, in one vocabulary: every backend's result is adapted into these dataclasses."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perception.registry import kinds

Box = tuple[float, float, float, float]
"""(x1, y1, x2, y2) as shares of picture width and height, each in 0..1; right and bottom edges exclusive."""


@dataclass
class Segment:
    """One panoptic segment. `mask` is a boolean (height, width) array over the picture, or None when unknown."""

    label: str
    box: Box
    score: float = 1.0
    mask: np.ndarray | None = field(default=None, repr=False, compare=False)


@dataclass
class Detection:
    """One box of the open-world detector; `score` in 0..1."""

    label: str
    box: Box
    score: float


@dataclass
class Relation:
    """`subject` and `object` are indices into `Scene.objects`; `score` in 0..1."""

    subject: int
    predicate: str
    object: int
    score: float


@dataclass
class TextLine:
    """One line of recognised text; `box` is the upright extent of the line, or None when unknown."""

    text: str
    score: float
    box: Box | None = None


@dataclass
class Scene:
    """Everything the experts saw in one picture of `width` x `height` pixels.

    `objects` are the labels that relations point into and `object_boxes` their boxes (same length, or empty when
    the scene-graph backend gives none). `warnings` has one sentence for each expert that failed, and `timings`
    the seconds each expert took, by expert name. `more` has the lists that kinds beside the four fill, by name.
    """

    width: int
    height: int
    segments: list[Segment] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    text_lines: list[TextLine] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    object_boxes: list[Box] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    more: dict[str, list] = field(default_factory=dict)

    def part(self, name: str) -> list:
        """The list called `name`: one of those above, or one of `more` (empty when it is not there)."""
        return getattr(self, name) if name in _OWN_PARTS else self.more.get(name, [])

    def to_dict(self) -> dict:
        """The scene as plain Python values, ready for `json.dumps`; masks are left out."""
        record: dict[str, Any] = {"width": self.width, "height": self.height}
        for part in (part for kind in kinds() for part in kind.parts):
            record[part.name] = [part.to_plain(one, False) for one in self.part(part.name)]
        return record | {"warnings": list(self.warnings), "timings": dict(self.timings)}


_OWN_PARTS = frozenset({"segments", "detections", "objects", "relations", "text_lines", "object_boxes"})
