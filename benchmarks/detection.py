"""Experts on photographs whose things people boxed: `python -m benchmarks.detection PICTURES INSTANCES.json`.

PICTURES is a folder, INSTANCES.json annotations in COCO's format, such as instances_val2017.json. Needs pycocotools.
"""

import argparse
import contextlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from perception import Perception, Scene
from perception.boxes import iou
from perception.cache import CachedPerception
from perception.kinds.detection import DETECTION_THRESHOLD
from perception.kinds.scene_graph import RELATION_THRESHOLD

RIGHT = 0.5
"""Overlap (IoU) from which on a box is right."""
OPPOSITE = {"left of": (0, 1), "right of": (0, -1), "above": (1, 1), "below": (1, -1)}
"""Axis along which the middles differ, and the sign of the object's minus the subject's."""


class Truth:
    """What people boxed in one picture: labels, boxes (N, 4) in shares, and which of them are crowds."""

    def __init__(self, width: int, height: int, annotations: list[dict], names: dict[int, str]):
        self.labels = [names[one["category_id"]] for one in annotations]
        corners = [(x, y, x + wide, y + high) for x, y, wide, high in (one["bbox"] for one in annotations)]
        self.boxes = np.array(corners, float).reshape(-1, 4) / (width, height, width, height)
        self.crowd = np.array([bool(one.get("iscrowd")) for one in annotations], bool)

    def matches(self, scene: Scene) -> list[int | None]:
        """For each detection the box that it found, -1 for none, None for one in a crowd, which counts as neither."""
        found = np.array([one.box for one in scene.detections], float).reshape(-1, 4)
        overlap = iou(found, self.boxes) if len(found) and len(self.boxes) else np.zeros((len(found), len(self.boxes)))
        same = np.array([[label == one.label for label in self.labels] for one in scene.detections], bool)
        free, matched = ~self.crowd, []
        for number, row in enumerate(overlap):
            fits = np.where(same[number] & free, row, -1.0)
            if len(fits) and fits.max() >= RIGHT:
                matched.append(int(fits.argmax()))
                free[matched[-1]] = False
            else:
                matched.append(None if (same[number] & self.crowd & (row > 0)).any() else -1)
        return matched


def calibration_error(scores: Iterable[float], right: Iterable[bool]) -> float:
    """Mean difference of scores and shares of right ones over ten parts of 0..1, by how many fall into each."""
    sure, truth = np.array(list(scores), float), np.array(list(right), float)
    part = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs(sure[part == one].mean() - truth[part == one].mean()) * (part == one).mean() for one in set(part)]
    return float(sum(gaps))


def average_precision(record: dict, scenes: dict[int, Scene]) -> tuple[float, float]:
    """COCO's AP and AP50 of boxes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    numbers = {one["name"]: one["id"] for one in record["categories"]}
    results = [
        {
            "image_id": image, "category_id": numbers[one.label], "score": one.score,
            "bbox": [one.box[0] * scene.width, one.box[1] * scene.height,
                     (one.box[2] - one.box[0]) * scene.width, (one.box[3] - one.box[1]) * scene.height],
        }
        for image, scene in scenes.items() for one in scene.detections if one.label in numbers
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = record
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.params.imgIds = list(scenes)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0]), float(judge.stats[1])


def measure(record: dict, scenes: dict[int, Scene]) -> dict[str, float]:
    """Figures in 0..1 of the scenes of pictures by their id; `record` is COCO's format."""
    names = {one["id"]: one["name"] for one in record["categories"]}
    boxed = defaultdict(list)
    for one in record["annotations"]:
        boxed[one["image_id"]].append({"area": one["bbox"][2] * one["bbox"][3]} | one)
    scores, right, likely, there, relations = [], [], [], [], []
    counts: Counter[str] = Counter()
    for image, scene in scenes.items():
        truth = Truth(scene.width, scene.height, boxed[image], names)
        matched = truth.matches(scene)
        judged = [(one, match >= 0) for one, match in zip(scene.detections, matched, strict=True) if match is not None]
        scores += [one.score for one, _ in judged]
        right += [fits for _, fits in judged]
        counts["boxes"] += int((~truth.crowd).sum())
        counts["labels"] += len(set(truth.labels))
        said = {one.label for one in scene.detections if one.score >= DETECTION_THRESHOLD}
        counts["labels said"] += len(said)
        counts["labels said, right"] += len(said & set(truth.labels))
        possible = scene.part("possible")
        likely += [one.score for one in possible]
        there += [one.label in truth.labels for one in possible]
        counts["labels possible, right"] += len({one.label for one in possible} & set(truth.labels))
        relations += list(_relations(scene, truth, matched))
    spoken = [fits for score, fits in zip(scores, right, strict=True) if score >= DETECTION_THRESHOLD]
    shares = {
        "boxes said: precision": (sum(spoken), len(spoken)),
        "boxes said: recall": (sum(spoken), counts["boxes"]),
        "labels said: precision": (counts["labels said, right"], counts["labels said"]),
        "labels said: recall": (counts["labels said, right"], counts["labels"]),
        "labels possible: recall": (counts["labels possible, right"], counts["labels"]),
        "relations said of right boxes: right": (sum(relations), len(relations)),
    }
    figures = {name: share / total for name, (share, total) in shares.items() if total}
    figures["AP"], figures["AP50"] = average_precision(record, scenes)
    figures["boxes: calibration error"] = calibration_error(scores, right)
    if likely:
        figures["labels possible: calibration error"] = calibration_error(likely, there)
    return figures


def _relations(scene: Scene, truth: Truth, matched: list[int | None]) -> Iterable[bool]:
    """Of each relation that is said and whose two boxes are right, whether it holds of the boxes that people drew."""
    places = {(one.label, one.box): match for one, match in zip(scene.detections, matched, strict=True)}
    objects = list(zip(scene.objects, scene.object_boxes, strict=False))
    for one in scene.relations:
        ends = [places.get(objects[number]) for number in (one.subject, one.object)]
        if (
            one.score < RELATION_THRESHOLD
            or one.predicate not in OPPOSITE
            or not all(end is not None and end >= 0 for end in ends)
        ):
            continue
        middles = [(truth.boxes[end][:2] + truth.boxes[end][2:]) / 2 * (scene.width, scene.height) for end in ends]
        axis, sign = OPPOSITE[one.predicate]
        away = middles[1] - middles[0]
        yield bool(away[axis] * sign > 0 and abs(away[axis]) >= abs(away[1 - axis]))


def main() -> None:
    """Prints the figures of the experts of a preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("instances", type=Path)
    parser.add_argument("--experts-from", default="photo", help="a preset of experts, or a file of one")
    parser.add_argument("--experts", help="which of its experts look; all by default")
    parser.add_argument("--limit", type=int, help="how many pictures")
    parser.add_argument("--cache", type=Path, help="folder in which scenes are kept")
    asked = parser.parse_args()
    record = json.loads(asked.instances.read_text())
    perception = Perception(asked.experts, experts_from=asked.experts_from, cache_size=0)
    look = perception if asked.cache is None else CachedPerception(perception, asked.cache)
    scenes = {one["id"]: look(asked.pictures / one["file_name"]) for one in islice(record["images"], asked.limit)}
    for name, value in measure(record, scenes).items():
        print(f"{name:<40} {value:.3f}")
    for name in perception.experts:
        seconds = [scene.timings[name] for scene in scenes.values() if name in scene.timings]
        print(f"{name + ': seconds a picture':<40} {np.median(seconds):.3f}")
    for warning, count in Counter(one for scene in scenes.values() for one in scene.warnings).items():
        print(f"{count} pictures: {warning}")


if __name__ == "__main__":
    main()
