"""Detection: boxes of things, from a YOLO network."""

from collections.abc import Sequence

import numpy as np

from perception.scene import Detection, Scene
from perception.yolo import Yolo


class YoloDetection:
    """Every thing class that a YOLO network knows, surest first; stuff is left to segmentation."""

    name = "detection"

    def __init__(self, network: Yolo):
        self.network = network

    def prepare(self, pictures: Sequence[np.ndarray]) -> None:
        """Looks at several pictures at once."""
        self.network.batch(pictures)

    def __call__(self, picture: np.ndarray, scene: Scene) -> None:
        """Fills `scene.detections` from (H, W, 3) uint8 RGB."""
        found = self.network(picture)
        scene.detections = [
            Detection(label, tuple(box), score)
            for label, box, score in zip(found.labels, found.boxes.tolist(), found.scores.tolist(), strict=True)
            if label not in self.network.stuff
        ]
