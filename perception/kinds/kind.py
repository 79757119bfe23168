"""What the declaration of a kind of expert holds."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from perception.builder import Builder
from perception.expert import Expert
from perception.kinds.canvas import Canvas
from perception.scene import Box, Scene

Colour = tuple[int, int, int]
"""Red, green, blue in 0..255."""


class Finding(NamedTuple):
    """One thing that an expert found, for tables: in words, where (None: it has no box), and how sure (0..1)."""

    what: str
    box: Box | None
    score: float


@dataclass(frozen=True)
class Part:
    """One list of a Scene, `scene.part(name)`, and how its items become plain values (for JSON) and come back.

    `to_plain(item, exact)`: when not `exact`, what only a program can read, such as a mask, is left out. `item` is the
    class of its items, if they have one: others do not come into a scene.
    """

    name: str
    to_plain: Callable[[Any, bool], Any]
    from_plain: Callable[[Any], Any]
    item: type | None = None

    @classmethod
    def of(cls, name: str, item: type) -> "Part":
        """A list of one dataclass whose fields are plain values, or a `box`, which is a tuple."""
        return cls(name, lambda one, exact: asdict(one), lambda record: item(**boxed(record)), item)


def boxed(record: dict) -> dict:
    """The record with its `box`, which JSON turns into a list, as a tuple again."""
    return record | {"box": tuple(record["box"])} if record.get("box") is not None else record


@dataclass(frozen=True)
class Kind:
    """A kind of expert; everything else learns of it from here.

    `name` stands in code, `short_name` in commands, `label` on pages; `spoken` is how a warning calls it ("SPOKEN
    failed: ..."). `parts` are the lists of a Scene that it fills; `say` puts them into words for the compressor (""
    when there is nothing), `findings` lists them for tables. `draw` paints them on a canvas as the layer `layer`, which
    pages call `layer_label`; None draws nothing. `colour` marks the kind on pages.
    `needs` names kinds that must run and succeed first, `after` kinds that it waits for where they run. `build` makes
    the kind's own expert, which runs unless a preset names another or says `off`; None leaves it to presets. An
    `optional` kind is none of "all kinds" where no preset names it: where it saw nothing, no word, and no empty list in
    plain values, tells of it.
    """

    name: str
    short_name: str
    label: str
    spoken: str
    colour: Colour
    parts: tuple[Part, ...]
    say: Callable[[Scene], str]
    findings: Callable[[Scene], list[Finding]]
    layer: str | None = None
    layer_label: str | None = None
    draw: Callable[[Canvas, Scene], None] | None = None
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    build: Callable[[Builder], Expert] | None = None
    optional: bool = False
