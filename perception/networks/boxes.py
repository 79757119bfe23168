"""Boxes that transformers' post-processing gives, as Found."""

from collections.abc import Sequence

import numpy as np
import torch

from perception.kinds.detection import DETECTION_THRESHOLD
from perception.networks.network import Found, calibrated, sorted_found


def found_boxes(
    boxes: torch.Tensor, scores: torch.Tensor, labels: Sequence[str], picture: np.ndarray, spoken_from: float | None
) -> Found:
    """Boxes (N, 4) x1 y1 x2 y2 in pixels of the picture (H, W, 3), scores (N,) and N labels.

    Scores become such that `spoken_from` is where verbalisation begins; None leaves them as they are. Boxes are cut at
    the picture's edges; what has no name or no area in the picture is left out.
    """
    height, width = picture.shape[:2]
    shares = np.clip(boxes.double().cpu().numpy().reshape(-1, 4) / (width, height, width, height), 0, 1)
    sure = scores.double().cpu().numpy()
    keep = [
        number
        for number, label in enumerate(labels)
        if label.strip() not in ("", "N/A")
        and np.isfinite(shares[number]).all()
        and (shares[number, 2:] > shares[number, :2]).all()
    ]
    power = 1 if spoken_from is None else np.log(DETECTION_THRESHOLD) / np.log(spoken_from)
    return sorted_found(Found([labels[one].strip() for one in keep], calibrated(sure[keep], power), shares[keep]))
