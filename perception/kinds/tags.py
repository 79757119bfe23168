"""Tags: what the picture as a whole shows."""

from perception.kinds.kind import Finding, Kind, Part
from perception.scene import Scene, Tag
from perception.words import first_name, listed

TAG_THRESHOLD = 0.3
"""Tags below are not said."""
MAX_TAGS = 5
"""The most certain tags that are said."""


def say(scene: Scene) -> str:
    """The most certain tags, surest first, or the empty string."""
    best = sorted(scene.part("tags"), key=lambda one: -one.score)[:MAX_TAGS]
    return listed("The image shows: ", [first_name(one.label) for one in best if one.score >= TAG_THRESHOLD])


def findings(scene: Scene) -> list[Finding]:
    """Every tag."""
    return [Finding(one.label, None, one.score) for one in scene.part("tags")]


KIND = Kind(
    name="tags",
    short_name="tags",
    label="Tags",
    spoken="tagging",
    colour=(131, 56, 200),
    parts=(Part.of("tags", Tag),),
    say=say,
    findings=findings,
    optional=True,
)
