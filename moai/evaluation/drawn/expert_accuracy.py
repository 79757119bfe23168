"""Scores the embedded experts, all in the loop, on drawn scenes that nothing was trained on.

moai eval experts --scenes 200
"""

import json
import time

import numpy as np
from supervision import box_iou

from moai.data.drawn.ground_truth import to_scene
from moai.data.drawn.levels import LEVELS, MEDIUM
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from moai.data.splits import EXPERT_ACCURACY
from moai.evaluation.options import add_expert_options, looking
from moai.terminal import Parser
from perception import Perception, Scene
from perception.kinds.detection import DETECTION_THRESHOLD
from perception.kinds.ocr import OCR_THRESHOLD
from perception.kinds.scene_graph import MAX_RELATIONS, RELATION_THRESHOLD
from perception.panoptic import panoptic_ids
from perception.presets import DEFAULT

FIRST_SEED = EXPERT_ACCURACY.start
"""Seeds from here on are used for scores alone."""
_SAME_BOX = 0.5


def matches(said: list[tuple], true: list[tuple]) -> int:
    """How many of `said` find a partner of their own in `true`; items are (name, box, ...) with all boxes alike."""
    free = list(true)
    hits = 0
    for one in said:
        for other in free:
            alike = one[0] == other[0] and all(
                box_iou(a, b) >= _SAME_BOX for a, b in zip(one[1:], other[1:], strict=True)
            )
            if alike:
                free.remove(other)
                hits += 1
                break
    return hits


def said_relations(scene: Scene) -> list[tuple]:
    """((subject, predicate, object), box, box) of the relations that verbalisation says."""
    best = sorted(scene.relations, key=lambda one: -one.score)[:MAX_RELATIONS]
    return [
        (
            (scene.objects[one.subject], one.predicate, scene.objects[one.object]),
            scene.object_boxes[one.subject],
            scene.object_boxes[one.object],
        )
        for one in best
        if one.score >= RELATION_THRESHOLD
    ]


def score(perception: Perception, scenes: int, first_seed: int = FIRST_SEED, difficulty: float = MEDIUM) -> dict:
    """Precision and recall of what verbalisation says, exact words of signs, pixels of the colour map, seconds."""
    counts = {kind: np.zeros(3, int) for kind in ("detection", "relations")}
    signs = read = extra = 0
    pixels, seconds, warnings = [], [], set()
    for seed in range(first_seed, first_seed + scenes):
        layout = sample_layout(seed, difficulty)
        drawn = render(layout)
        truth = to_scene(layout, drawn)
        started = time.perf_counter()
        scene = perception(drawn.image)
        seconds.append(time.perf_counter() - started)
        warnings.update(scene.warnings)
        said = [(one.label, one.box) for one in scene.detections if one.score >= DETECTION_THRESHOLD]
        true = [(one.label, one.box) for one in truth.detections]
        counts["detection"] += (matches(said, true), len(said), len(true))
        said, true = said_relations(scene), said_relations(truth)
        counts["relations"] += (matches(said, true), len(said), len(true))
        lines = [one.text for one in scene.text_lines if one.score >= OCR_THRESHOLD]
        for line in truth.text_lines:
            signs += 1
            if line.text in lines:
                read += 1
                lines.remove(line.text)
        extra += len(lines)
        pixels.append(float((panoptic_ids(scene, 224) == panoptic_ids(truth, 224)).mean()))
    table = {}
    for kind, (right, said, true) in counts.items():
        table[kind] = {"precision": round(right / max(said, 1), 4), "recall": round(right / max(true, 1), 4)}
    table["signs"] = {"exact": round(read / max(signs, 1), 4), "count": signs, "extra_lines": extra}
    table["colour_map_pixels_right"] = round(float(np.mean(pixels)), 4)
    table["seconds_median"] = round(float(np.median(seconds)), 3)
    table["warnings"] = sorted(warnings)
    return table


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = Parser(prog="moai eval experts", description="Score the embedded experts on held-out drawn scenes.")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--experts", metavar="NAMES", help="those that look (default: all of the preset)")
    add_expert_options(parser)
    parser.add_argument("--level", choices=tuple(LEVELS), default="medium", help="difficulty of the scenes")
    options = parser.parse_args(argv)
    preset = options.experts_from or DEFAULT
    perception = Perception(options.experts, experts_from=preset, **looking(options))
    table = score(perception, options.scenes, difficulty=LEVELS[options.level])
    print(json.dumps(table, indent=1))
