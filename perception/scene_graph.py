"""The scene graph: a small learned head says which predicate, if any, holds for each ordered pair of objects."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from perception.expert import ExpertUnavailable
from perception.relation_features import (
    FEATURES,
    STRIP,
    THUMB_VALUES,
    Nodes,
    box_grid,
    mask_grid,
    pair_features,
    strip_image,
    strips,
    thumbnail,
)
from perception.scene import Relation, Scene
from perception.yolo import Yolo

WEIGHTS_FILE, SETTINGS_FILE = "model.safetensors", "config.json"
MIN_SCORE = 0.6
"""Relations below are not reported; verbalisation keeps those from 0.8."""
MIN_OBJECT_SCORE = 0.5
MAX_OBJECTS = 24
MAX_RELATIONS = 30


class RelationHead(nn.Module):
    """Scores of predicates for ordered pairs of objects.

    `labels` are the classes that it knows; others share one embedding. `predicates` are its outputs. `stuff` are
    labels that are only ever objects of a relation, `ignored` labels that take no part.
    """

    def __init__(
        self,
        labels: Sequence[str],
        predicates: Sequence[str],
        stuff: Sequence[str] = (),
        ignored: Sequence[str] = (),
        width: int = 256,
        temperature: float = 1.0,
        power: float = 1.0,
    ):
        super().__init__()
        self.settings = {
            "labels": list(labels), "predicates": list(predicates), "stuff": list(stuff), "ignored": list(ignored),
            "width": width, "temperature": temperature, "power": power,
        }  # fmt: skip
        self.index = {label: number + 1 for number, label in enumerate(labels)}
        self.classes = nn.Embedding(len(labels) + 1, 32)
        self.look = nn.Sequential(nn.Linear(THUMB_VALUES, 128), nn.GELU(), nn.Linear(128, 48))
        # Ridges are found anywhere across the strip, and how far along it they reach is kept.
        self.ridges = nn.Sequential(
            nn.Conv2d(1, 12, (5, 3), padding=(2, 1)), nn.GELU(), nn.Conv2d(12, 12, (5, 3), padding=(2, 1)), nn.GELU()
        )
        self.between = nn.Sequential(nn.Linear(12 * STRIP[1], 32), nn.GELU())
        self.nothing_between = nn.Parameter(torch.zeros(32))
        self.pair = nn.Sequential(
            nn.Linear(FEATURES + 32 + 2 * (32 + 48), width), nn.GELU(), nn.LayerNorm(width),
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, len(predicates)),
        )  # fmt: skip

    def class_ids(self, labels: Sequence[str]) -> torch.Tensor:
        """(N,) int64 numbers of labels, 0 for unknown ones."""
        return torch.tensor([self.index.get(label, 0) for label in labels], dtype=torch.int64)

    def forward(
        self,
        class_ids: torch.Tensor,
        thumbs: torch.Tensor,
        features: torch.Tensor,
        pairs: torch.Tensor,
        strips: torch.Tensor,
        strip_of: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (P, predicates).

        class_ids (N,) int64; thumbs (N, THUMB_VALUES) uint8; features (P, F) float; pairs (P, 2) int64 into the N
        nodes, subject then object; strips (S, *STRIP) uint8; strip_of (P,) int64 into them, -1 for none.
        """
        nodes = torch.cat([self.classes(class_ids), self.look(thumbs.float() / 127.5 - 1)], dim=-1)
        between = torch.cat([self.seen_between(strips), self.nothing_between[None]])[strip_of]
        return self.pair(torch.cat([features, between, nodes[pairs[:, 0]], nodes[pairs[:, 1]]], dim=-1))

    def seen_between(self, strips: torch.Tensor) -> torch.Tensor:
        """(S, *STRIP) uint8 -> (S, 32): what runs along the strips, however light the picture."""
        grey = strips.float()
        grey = (grey - grey.mean(dim=1, keepdim=True)) / 40
        return self.between(self.ridges(grey[:, None]).amax(dim=2).flatten(1))

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities in 0..1: logits divided by the temperature that was fitted on held-out scenes, then sigmoid.

        `power` then moves the cut at which F1 was best to 0.8, the threshold of verbalisation (1 leaves them).
        """
        return torch.sigmoid(logits / self.settings["temperature"]) ** self.settings["power"]

    def save(self, folder: str | Path, **record) -> None:
        """Writes weights (safetensors, fp16) and settings (config.json, with `record` added) into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.detach().half().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(state, folder / WEIGHTS_FILE)
        (folder / SETTINGS_FILE).write_text(json.dumps({**self.settings, **record}, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> "RelationHead":
        """The head saved in a folder, fp32, in evaluation mode; raises ExpertUnavailable when there is none."""
        folder = Path(folder)
        if not (folder / WEIGHTS_FILE).is_file() or not (folder / SETTINGS_FILE).is_file():
            raise ExpertUnavailable(
                f"{folder} holds no relation head: {WEIGHTS_FILE} and {SETTINGS_FILE} belong there; train one with "
                "train.py --stage relations"
            )
        record = json.loads((folder / SETTINGS_FILE).read_text())
        names = ("labels", "predicates", "stuff", "ignored", "width", "temperature", "power")
        head = cls(**{name: record[name] for name in names})
        head.load_state_dict({name: value.float() for name, value in load_file(folder / WEIGHTS_FILE).items()})
        return head.eval()


class LearnedSceneGraph:
    """Relations between the detections and the stuff of a scene; waits for detection and segmentation.

    `folder` holds the head. `network`, when given, is asked for the masks of its detections (it has looked at the
    picture already); otherwise masks come from segments, or boxes stand in for them.
    """

    name = "scene_graph"

    def __init__(self, folder: str | Path, network: Yolo | None = None):
        self.folder = folder
        self.network = network
        self._head: RelationHead | None = None
        self._lock = threading.Lock()

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
        pairs = np.array([(i, j) for i in range(things) for j in range(len(nodes.labels)) if i != j], np.int64)
        height, width = picture.shape[:2]
        features = pair_features(nodes.boxes, nodes.grids, width, height)[pairs[:, 0], pairs[:, 1]]
        cut, number = strips(strip_image(picture), nodes.boxes, things)
        with torch.inference_mode():
            logits = head(
                head.class_ids(nodes.labels), torch.from_numpy(nodes.thumbs), torch.from_numpy(features),
                torch.from_numpy(pairs), torch.from_numpy(cut), torch.from_numpy(number[pairs[:, 0], pairs[:, 1]]),
            )  # fmt: skip
            best = head.scores(logits).max(dim=1)
        return strongest(pairs, best.indices.tolist(), best.values.tolist(), head.settings["predicates"])

    def _nodes(self, picture: np.ndarray, scene: Scene) -> tuple[Nodes, int]:
        settings = self.head.settings
        ignored, stuff = frozenset(settings["ignored"]), frozenset(settings["stuff"])
        # Numbered once kept, so that an object of a relation is the detection of the same place among its label.
        things = [one for one in scene.detections if one.score >= MIN_OBJECT_SCORE and one.label not in ignored]
        things = things[:MAX_OBJECTS]
        regions = [one for one in scene.segments if one.label in stuff and one.score >= MIN_OBJECT_SCORE]
        masks = [*self._masks(picture, scene, things), *(one.mask for one in regions)]
        nodes = [*things, *regions]
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
        if self.network is not None and self.network.draws_masks:
            found = self.network(picture)
            boxes = map(tuple, found.boxes.tolist())
            known |= {(label, box): mask for label, box, mask in zip(found.labels, boxes, found.masks, strict=True)}
        return [known.get((one.label, one.box)) for one in things]


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
    relations = []
    for index in order:
        if scores[index] < least or len(relations) == most:
            break
        both = frozenset(pairs[index].tolist())
        if both not in told:
            told.add(both)
            subject, other = pairs[index].tolist()
            relations.append(Relation(subject, names[predicates[index]], other, scores[index]))
    return relations
