"""Tiny untrained networks for tests."""

from pathlib import Path

import torch

from perception.networks.yolo import import_ultralytics, save_network

NAMES = ("person", "dog", "mushroom", "grass")


def untrained(seed: int = 0):
    """A YOLO segmentation network of a few thousand weights, sure enough of itself to find things in noise."""
    import_ultralytics()
    from ultralytics.nn.tasks import SegmentationModel

    architecture = {
        "nc": len(NAMES),
        "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [16, 3, 2]],
                     [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [16, 3, 2]]],
        "head": [[[2, 3, 4], 1, "Segment", ["nc", 8, 8]]],
    }  # fmt: skip
    torch.manual_seed(seed)
    network = SegmentationModel(architecture, verbose=False)
    network.names = dict(enumerate(NAMES))
    return network.eval()


def save_untrained(folder: Path, threshold: float = 1e-4) -> Path:
    """The network in our format; the threshold lets some of its noise through."""
    save_network(untrained(), folder, {"imgsz": 64, "threshold": threshold, "score_power": 1.0, "stuff": ["grass"]})
    return folder
