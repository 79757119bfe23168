"""A picture with what the experts saw drawn on it."""

from collections.abc import Sequence

from PIL import Image

from perception import registry
from perception.guard.door import sound
from perception.images import load_image
from perception.kinds.canvas import Canvas
from perception.scene import Scene


def draw(picture, scene: Scene, layers: Sequence[str] | None = None) -> Image.Image:
    """The picture (anything `load_image` takes) with the chosen layers of its scene drawn on it, as an RGB picture.

    `layers`: those of `perception.registry.layers`, such as "segments" (translucent masks), "detections" (boxes with
    labels), "relations" (arrows with predicates) and "text" (outlined lines); None means all. What verbalisation
    leaves out for a low score is left out here too. Pictures of less than 800 pixels are enlarged. Raises ValueError
    for an unknown layer.
    """
    names = registry.layers()
    for layer in layers or ():
        if layer not in names:
            raise ValueError(f"unknown layer {layer!r}; allowed are {', '.join(names)}")
    scene = sound(scene)
    canvas = Canvas(load_image(picture), tuple(names) if layers is None else tuple(layers))
    # What is built on others is drawn over them.
    for kind in sorted(registry.kinds(), key=lambda one: bool(one.needs)):
        if kind.draw is not None and kind.layer in canvas.layers:
            kind.draw(canvas, scene)
    return canvas.finished()
