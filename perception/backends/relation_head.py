"""Scene graphs from the relation head, on the boxes of detection and the stuff of segmentation."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.backends.backend import Backend
from perception.boxes import iou
from perception.builder import Builder
from perception.forks import ProcessBound
from perception.labels import OTHER_NAMES
from perception.networks.relation_features import (
    THUMB_VALUES,
    Nodes,
    box_grid,
    mask_grid,
    pair_features,
    strip_image,
    strips,
    thumbnail,
)
from perception.networks.relation_head import RelationHead
from perception.networks.yolo import Yolo
from perception.scene import Detection, Relation, Scene, Segment
from perception.words import plain_label

MIN_SCORE = 0.6
"""Relations below are not reported; verbalisation keeps those from 0.8."""
MIN_OBJECT_SCORE = 0.5
MAX_OBJECTS = 24
MAX_RELATIONS = 30
SAME_OBJECT = 0.7
"""Least overlap of a detection's box with that of a segment of its label for it to have the segment's mask."""


class LearnedSceneGraph(ProcessBound):
    """Relations between the detections and the stuff of a scene; waits for detection and segmentation.

    `folder` holds the head. `network`, when given, is asked for the masks of its detections (it has looked at the
    picture already); otherwise masks come from segments, or boxes stand in for them. Whoever found the objects, nothing
    is said of those whose label the head does not know.
    """

    _head: RelationHead | None
    _lock: threading.Lock

    def __init__(self, folder: str | Path, network: Yolo | None = None):
        self.folder = folder
        self.network = network
        super().__init__()

    def _fresh(self) -> dict[str, Any]:
        return {"_head": None, "_lock": threading.Lock()}

    @property
    def head(self) -> RelationHead:
        """The head, loaded at first use."""
        with self._lock:
            if self._head is None:
                self._head = RelationHead.load(self.folder)
            return self._head

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills `scene.objects`, `object_boxes` and `relations` from (H, W, 3) uint8 RGB and the scene so far.

        Objects are the detections from 0.5, in their order, then the stuff that takes part in a relation.
        """
        nodes, things = self._nodes(picture, scene)
        scene.objects = nodes.labels[:things]
        scene.object_boxes = [tuple(box) for box in nodes.boxes[:things].tolist()]
        if not things or len(nodes.labels) < 2:
            return
        found = self._relations(nodes, things, picture)
        places: dict[int, int] = {}
        for relation in found:
            if relation.object >= things:
                node = relation.object
                if node not in places:
                    places[node] = len(scene.objects)
                    scene.objects.append(nodes.labels[node])
                    scene.object_boxes.append(tuple(nodes.boxes[node].tolist()))
                relation.object = places[node]
        scene.relations = found

    def _relations(self, nodes: Nodes, things: int, picture: np.ndarray) -> list[Relation]:
        head = self.head
        ids = head.class_ids([known_as(label) for label in nodes.labels])
        known = np.flatnonzero(ids.numpy()).tolist()
        pairs = np.array([(i, j) for i in known if i < things for j in known if i != j], np.int64).reshape(-1, 2)
        if not len(pairs):
            return []
        height, width = picture.shape[:2]
        features = pair_features(nodes.boxes, nodes.grids, width, height)[pairs[:, 0], pairs[:, 1]]
        cut, number = strips(strip_image(picture), nodes.boxes, things)
        with torch.inference_mode():
            logits = head(
                ids, torch.from_numpy(nodes.thumbs), torch.from_numpy(features),
                torch.from_numpy(pairs), torch.from_numpy(cut), torch.from_numpy(number[pairs[:, 0], pairs[:, 1]]),
            )  # fmt: skip
            best = head.scores(logits).max(dim=1)
        return strongest(pairs, best.indices.tolist(), best.values.tolist(), head.settings["predicates"])

    def _nodes(self, picture: np.ndarray, scene: Scene) -> tuple[Nodes, int]:
        settings = self.head.settings
        ignored, stuff = frozenset(settings["ignored"]), frozenset(settings["stuff"])
        # Numbered once kept, so that an object of a relation is the detection of the same place among its label.
        things = [
            one for one in scene.detections if one.score >= MIN_OBJECT_SCORE and known_as(one.label) not in ignored
        ]
        things = things[:MAX_OBJECTS]
        regions = [one for one in scene.segments if known_as(one.label) in stuff and one.score >= MIN_OBJECT_SCORE]
        masks = [*self._masks(picture, scene, things), *(one.mask for one in regions)]
        nodes: list[Detection | Segment] = [*things, *regions]
        boxes = np.array([one.box for one in nodes], np.float64).reshape(-1, 4)
        grids = [box_grid(one.box) if mask is None else mask_grid(mask) for one, mask in zip(nodes, masks, strict=True)]
        thumbs = [thumbnail(picture, mask, one.box) for one, mask in zip(nodes, masks, strict=True)]
        made = Nodes(
            [one.label for one in nodes],
            boxes,
            np.stack(grids) if nodes else np.zeros((0, 1, 1), np.float32),
            np.stack(thumbs) if nodes else np.zeros((0, THUMB_VALUES), np.uint8),
        )
        return made, len(things)

    def _masks(self, picture: np.ndarray, scene: Scene, things: list) -> list[np.ndarray | None]:
        known = {(one.label, one.box): one.mask for one in scene.segments}
        found = self.network(picture) if self.network is not None else None
        if found is not None and found.masks is not None:
            boxes = map(tuple, found.boxes.tolist())
            known |= {(label, box): mask for label, box, mask in zip(found.labels, boxes, found.masks, strict=True)}
        return [known.get((one.label, one.box), _mask_of(one, scene.segments)) for one in things]


def known_as(label: str) -> str:
    """A label as the head may know it: `Sofa` is a couch, `grass-merged` is grass."""
    name = plain_label(label.strip().lower())
    return OTHER_NAMES.get(name, name)


def _mask_of(thing: Detection, segments: Sequence[Segment]) -> np.ndarray | None:
    """The mask of the segment that is the same object, or None."""
    same = [one for one in segments if known_as(one.label) == known_as(thing.label) and one.mask is not None]
    if not same:
        return None
    overlap = iou(np.array([thing.box]), np.array([one.box for one in same]))[0]
    return same[int(overlap.argmax())].mask if overlap.max() >= SAME_OBJECT else None


def build(kind: str, weights: str, builder: Builder) -> LearnedSceneGraph:
    """The scene graph of a head saved in a folder, which asks a YOLO network of detection for masks."""
    network = getattr(builder.find("detection"), "network", None)
    return LearnedSceneGraph(weights, network if isinstance(network, Yolo) else None)


def strongest(
    pairs: np.ndarray,
    predicates: list[int],
    scores: list[float],
    names: Sequence[str],
    least: float = MIN_SCORE,
    most: int = MAX_RELATIONS,
) -> list[Relation]:
    """At most `most` relations with scores from `least`, surest first: one for two objects, whichever way is surer.

    pairs (P, 2) node numbers; predicates and scores, the best of each pair; names of predicates by number.
    """
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    told: set[frozenset[int]] = set()
    relations: list[Relation] = []
    for index in order:
        if scores[index] < least or len(relations) == most:
            break
        both = frozenset(pairs[index].tolist())
        if both not in told:
            told.add(both)
            subject, other = pairs[index].tolist()
            relations.append(Relation(subject, names[predicates[index]], other, scores[index]))
    return relations


BACKEND = Backend(
    name="relation_head", kinds=("scene_graph",), build=build, weights="a folder of a relation head trained here"
)
