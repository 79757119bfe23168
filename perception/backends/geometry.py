"""Scene graphs from where boxes stand: what is left of, right of, above and below what."""

from itertools import combinations

import numpy as np

from perception.backends.backend import Backend
from perception.backends.relation_head import MAX_OBJECTS, MIN_OBJECT_SCORE
from perception.boxes import side_of
from perception.builder import Builder
from perception.scene import Box, Relation, Scene

LARGEST = 6
"""Detections whose pairs are looked at: the largest ones."""
MOST = 6
"""Relations of a picture; those of two labels come before those of two things of one label."""


class BoxGeometry:
    """Relations between the largest detections that are surely on one side of each other, whatever they are.

    The middles of two such things are further apart along one axis of the picture than along the other, and their boxes
    hardly overlap along it. What boxes alone cannot tell, such as what holds what, is not said.
    """

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills `scene.objects`, `object_boxes` and `relations` from the detections from 0.5."""
        things = [one for one in scene.detections if one.score >= MIN_OBJECT_SCORE][:MAX_OBJECTS]
        scene.objects = [one.label for one in things]
        scene.object_boxes = [one.box for one in things]
        largest = sorted(range(len(things)), key=lambda index: -_area(things[index].box))[:LARGEST]
        found = []
        for one, other in combinations(sorted(largest), 2):
            relation = side_of(scene.object_boxes[one], scene.object_boxes[other], scene.width, scene.height)
            if relation is not None:
                found.append(Relation(one, relation[0], other, relation[1]))
        found.sort(key=lambda one: (scene.objects[one.subject] == scene.objects[one.object], -one.score))
        scene.relations = sorted(found[:MOST], key=lambda one: -one.score)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def build(kind: str, weights: None, builder: Builder) -> BoxGeometry:
    """The scene graph."""
    return BoxGeometry()


BACKEND = Backend(name="geometry", kinds=("scene_graph",), build=build)
