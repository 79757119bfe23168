"""A kind of expert beside the four, declared in one file: words that hold for the whole picture."""

from dataclasses import dataclass

from perception.kinds.kind import Finding, Kind, Part
from perception.words import listed


@dataclass
class Tag:
    """One word for the whole picture; `score` in 0..1."""

    word: str
    score: float


def see(picture, scene):
    """The expert: whether the picture is a light or a dark one."""
    scene.more["shades"] = [Tag("light" if picture.mean() > 127 else "dark", 0.9)]


def say(scene):
    """The tags, or the empty string."""
    return listed("The image is tagged: ", [one.word for one in scene.part("shades")])


def draw(canvas, scene):
    """The tags in the upper left corner."""
    for number, one in enumerate(scene.part("shades")):
        canvas.label(one.word, KIND.colour, [(0, number * canvas.tag_height())])


KIND = Kind(
    name="tagging",
    short_name="tag",
    label="Tags",
    spoken="tagging",
    colour=(131, 56, 200),
    parts=(Part.of("shades", Tag),),
    say=say,
    findings=lambda scene: [Finding(one.word, None, one.score) for one in scene.part("shades")],
    layer="shades",
    draw=draw,
    build=lambda builder: see,
)
