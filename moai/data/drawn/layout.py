"""What stands where in a drawn scene: the plan that the renderer paints and that questions are answered from."""

from dataclasses import dataclass, field

from perception.scene import Box


@dataclass
class PlacedObject:
    """One sprite on the canvas. `box` is the extent of the turned sprite, not reduced by what covers it.

    `label` is the class name, `sprite` an index into the atlas, `center` and `size` (longer side) are in pixels,
    `angle` in degrees counter-clockwise, `brightness` a factor around 1. Objects are painted in list order.
    """

    label: str
    sprite: int
    center: tuple[float, float]
    size: float
    angle: float
    brightness: float
    flipped: bool
    box: Box


@dataclass
class Sign:
    """A coloured plate with one line of text. `colour` is the plate's colour name, `angle` in degrees.

    `contrast` is 1 for letters in `text_colour` and less for paler ones (0 would be the plate's own colour). `tilt` is
    how the plate leans away in depth along its width and its height: 0.1 makes an edge 10 % smaller than the middle.
    """

    text: str
    colour: str
    text_colour: str
    font: int
    center: tuple[float, float]
    font_size: float
    angle: float
    box: Box
    contrast: float = 1.0
    tilt: tuple[float, float] = (0.0, 0.0)


@dataclass
class Stuff:
    """A background region with a name (a COCO panoptic stuff class, suffix dropped) or unnamed (plain backdrop).

    `polygon` is in shares of width and height.
    """

    label: str | None
    polygon: list[tuple[float, float]]
    colour: tuple[int, int, int]
    texture: int


@dataclass(frozen=True)
class Rope:
    """A thin rope between two objects of a layout, by index: what the first holds, guides or pulls, or is tied to.

    It runs from the middle of one to the middle of the other, behind all objects, so only what is between them shows.
    """

    subject: int
    predicate: str
    object: int
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Conditions:
    """How the picture is taken; the defaults change nothing.

    `night` 0 to 1, before signs are painted. `gain` a factor on light, `lift` in grey levels, `cast` a factor for red,
    green and blue. `blur` is a standard deviation in pixels of the canvas, `resolution` the share of pixels a side that
    is kept, `grain` the spread of noise in grey levels at the size of the canvas, `jpeg` a quality of 1 to 100 or 0
    for none.
    """

    night: float = 0.0
    gain: float = 1.0
    lift: float = 0.0
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: float = 0.0
    resolution: float = 1.0
    grain: float = 0.0
    jpeg: int = 0


@dataclass
class Layout:
    """A whole drawn scene. Relations are (subject, predicate, object): indices into `objects`, and for the object
    also `len(objects) + k` for `stuff[k]`. `untied` are triples as `ropes` would make them, of pairs that stand as if
    there were a rope and have none."""

    seed: int
    width: int
    height: int
    stuff: list[Stuff] = field(default_factory=list)
    objects: list[PlacedObject] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    relations: list[tuple[int, str, int]] = field(default_factory=list)
    ropes: list[Rope] = field(default_factory=list)
    untied: list[tuple[int, str, int]] = field(default_factory=list)
    conditions: Conditions = field(default_factory=Conditions)

    def label_of(self, index: int) -> str:
        """Label of an object, or of `stuff[index - len(objects)]`."""
        if index < len(self.objects):
            return self.objects[index].label
        return self.stuff[index - len(self.objects)].label
