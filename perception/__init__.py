"""Pictures in, Scene out."""

from perception.images import ImageError, load_image
from perception.scene import Detection, Relation, Scene, Segment, Tag, TextLine
from perception.verbalize import verbalize

__all__ = [
    "Detection",
    "ImageError",
    "Perception",
    "Relation",
    "Scene",
    "Segment",
    "Tag",
    "TextLine",
    "load_image",
    "verbalize",
]


def __getattr__(name: str):
    # The experts bring threads and OpenCV along; whoever only needs a Scene should not wait for them.
    if name == "Perception":
        from perception.perception import Perception

        return Perception
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
