"""The scene graph: how the things of a picture relate to each other."""

import math

from perception.kinds.canvas import Canvas
from perception.kinds.kind import Finding, Kind, Part
from perception.scene import Relation, Scene
from perception.words import listed, numbered

RELATION_THRESHOLD = 0.8
"""Relations below are neither said nor drawn."""
MAX_RELATIONS = 10
"""The most certain relations that are said and drawn."""
COLOUR = (20, 24, 40)


def told(scene: Scene) -> list[Relation]:
    """The relations that are certain enough to be said, surest first."""
    best = sorted(scene.relations, key=lambda one: -one.score)[:MAX_RELATIONS]
    return [one for one in best if one.score >= RELATION_THRESHOLD]


def say(scene: Scene) -> str:
    """The most certain relations, surest first, or the empty string."""
    names = numbered(scene.objects)
    phrases = [f"{names[one.subject]} is {one.predicate} {names[one.object]}" for one in told(scene)]
    return listed("The image includes relationships between objects: ", phrases)


def findings(scene: Scene) -> list[Finding]:
    """Every relation."""
    names = scene.objects
    return [
        Finding(f"{names[one.subject]} {one.predicate} {names[one.object]}", None, one.score) for one in scene.relations
    ]


def draw(canvas: Canvas, scene: Scene) -> None:
    """Arrows with predicates, where the boxes of the objects are known."""
    if len(scene.object_boxes) != len(scene.objects):
        return
    names = numbered(scene.objects)
    for one in told(scene):
        a, b = _arrow_ends(*(canvas.pixels(scene.object_boxes[index]) for index in (one.subject, one.object)))
        canvas.arrow(a, b, COLOUR)
        places = [(a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share) for share in (0.5, 0.3, 0.7, 0.1, 0.9)]
        x, y = places[0]
        places += [(x, y + step * canvas.tag_height()) for step in (1, -1, 2, -2)]
        long = math.dist(a, b) > 6 * canvas.tag_height()
        # An arrow between neighbours is too short to show what it joins.
        text = one.predicate if long else f"{names[one.subject]} {one.predicate} {names[one.object]}"
        canvas.label(text, COLOUR, places, "middle")


def _arrow_ends(a, b) -> tuple[tuple[float, float], tuple[float, float]]:
    """From the middle of one box towards the other's: where stuff surrounds a thing, to the nearest side of it."""
    start = ((a[0] + a[2]) / 2, (a[1] + a[3]) / 2)
    end = ((b[0] + b[2]) / 2, (b[1] + b[3]) / 2)
    if (b[2] - b[0]) * (b[3] - b[1]) > 4 * (a[2] - a[0]) * (a[3] - a[1]):
        end = (min(max(start[0], b[0]), b[2]), min(max(a[3] + 0.25 * (a[3] - a[1]), b[1]), b[3]))
    return start, end


KIND = Kind(
    name="scene_graph",
    short_name="sgg",
    label="Scene graph",
    spoken="the scene graph",
    colour=COLOUR,
    parts=(
        Part("objects", lambda label, exact: label, str, str),
        Part.of("relations", Relation),
        Part("object_boxes", lambda box, exact: box, tuple),
    ),
    say=say,
    findings=findings,
    layer="relations",
    layer_label="Relations",
    draw=draw,
    needs=("detection",),
    after=("segmentation",),
)
