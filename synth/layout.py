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
    """A coloured plate with one line of text. `colour` is the plate's colour name, `angle` in degrees."""

    text: str
    colour: str
    text_colour: str
    font: int
    center: tuple[float, float]
    font_size: float
    angle: float
    box: Box


@dataclass
class Stuff:
    """A background region with a name (a COCO panoptic stuff class, suffix dropped) or unnamed (plain backdrop).

    `polygon` is in shares of width and height.
    """

    label: str | None
    polygon: list[tuple[float, float]]
    colour: tuple[int, int, int]
    texture: int


@dataclass
class Layout:
    """A whole drawn scene. Relations are (subject, predicate, object): indices into `objects`, and for the object
    also `len(objects) + k` for `stuff[k]`."""

    seed: int
    width: int
    height: int
    stuff: list[Stuff] = field(default_factory=list)
    objects: list[PlacedObject] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    relations: list[tuple[int, str, int]] = field(default_factory=list)

    def label_of(self, index: int) -> str:
        """Label of an object, or of `stuff[index - len(objects)]`."""
        if index < len(self.objects):
            return self.objects[index].label
        return self.stuff[index - len(self.objects)].label
