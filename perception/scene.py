"""What the experts saw, in one vocabulary: every backend's result is adapted into these dataclasses."""

import json
from dataclasses import dataclass, field
from pathlib import Path
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
class Tag:
    """A word for the picture as a whole; `score` in 0..1."""

    label: str
    score: float


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

    def put(self, name: str, items: list) -> None:
        """Makes `items` the list called `name`."""
        if name in _OWN_PARTS:
            setattr(self, name, items)
        elif items:
            self.more[name] = items

    def to_dict(self, exact: bool = False) -> dict[str, Any]:
        """The scene as plain Python values, ready for `json.dumps`; masks are left out unless it is to be `exact`."""
        record: dict[str, Any] = {"width": self.width, "height": self.height}
        for kind in kinds():
            for part in kind.parts:
                items = [part.to_plain(one, exact) for one in self.part(part.name)]
                if items or not kind.optional:
                    record[part.name] = items
        return record | {"warnings": list(self.warnings), "timings": dict(self.timings)}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Scene":
        """The scene that `to_dict` gave; what is missing is empty. Raises ValueError with one sentence for others."""
        try:
            scene = cls(
                record["width"],
                record["height"],
                warnings=list(record.get("warnings", ())),
                timings=dict(record.get("timings", ())),
            )
            known = {"width", "height", "warnings", "timings"}
            for part in _parts():
                items = [part.from_plain(one) for one in record.get(part.name, ())]
                if part.name in _OWN_PARTS:
                    setattr(scene, part.name, items)
                elif items:
                    scene.more[part.name] = items
                known.add(part.name)
            unknown = sorted(set(record) - known)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is no scene: {type(error).__name__} at {error}") from error
        if unknown:
            raise ValueError(f"a scene has no part {unknown[0]!r}; allowed are {', '.join(sorted(known))}")
        return scene

    def save(self, path: str | Path) -> None:
        """Writes the scene without loss, masks as COCO's run lengths, as a JSON file."""
        Path(path).write_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        text = json.dumps(self.to_dict(exact=True), ensure_ascii=False, default=_plain)
        # Half of a surrogate pair, which text may hold, is no UTF-8, but comes back as it was.
        return text.encode("utf-8", "surrogatepass")

    @classmethod
    def load(cls, path: str | Path) -> "Scene":
        """The scene that `save` wrote; raises ValueError with one sentence for a file that is not one."""
        try:
            record = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise ValueError(f"the scene {path} cannot be read ({error.strerror or 'input error'})") from error
        except ValueError as error:
            raise ValueError(f"{path} holds no scene: it is not valid JSON") from error
        if not isinstance(record, dict):
            raise ValueError(f"{path} holds no scene: it must be a JSON object with width, height and parts")
        try:
            return cls.from_dict(record)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _parts() -> list:
    return [part for kind in kinds() for part in kind.parts]


def _plain(value):
    """Numbers of numpy, which experts may leave in a scene."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be saved; the parts of a scene must give plain values")


_OWN_PARTS = frozenset({"segments", "detections", "objects", "relations", "text_lines", "object_boxes"})
