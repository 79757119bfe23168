"""The card of a trained detector, written from its config.json so that its numbers are the run's own."""

import json
from pathlib import Path

from perception.networks.yolo import SETTINGS_FILE, WEIGHTS_FILE

_LICENCE = (
    "the network's definition is ultralytics' (AGPL-3.0); the drawings of the data are Noto Color Emoji (OFL-1.1)"
)


def write_card(folder: str | Path) -> Path:
    """Writes README.md into the folder of a detector that was trained and evaluated; returns its path."""
    folder = Path(folder)
    record = json.loads((folder / SETTINGS_FILE).read_text())
    training, scores = record["training"], record["evaluation"]
    size = (folder / WEIGHTS_FILE).stat().st_size / 2**20
    things = len(record["names"]) - len(record["stuff"])
    worst = ", ".join(f"{name} {value:.2f}" for name, value in list(scores["worst"].items())[:5])
    run = f"{training['seconds']} s, {training['epochs']} epochs, batches of {training['batch']}, {training['device']}"
    if training["started_from"]:
        run += f"; it went on from the detector in `{training['started_from']}`, itself trained from nothing"
    calibration = (
        f"scores to the power of {record['score_power']}: the cut with the best F1, {scores['best_cut']}, becomes 0.5"
    )
    text = f"""# Detector

One YOLO nano network, `{record["architecture"]}` of ultralytics, trained from its yaml without any pretrained weights.
It serves both segmentation ({len(record["stuff"])} kinds of stuff and the COCO things among its classes) and detection
({things} things).

| | |
| --- | --- |
| files | `{WEIGHTS_FILE}` (fp16, {size:.1f} MiB, moving average of the weights), `model.yaml`, `{SETTINGS_FILE}` |
| input | pictures at {record["imgsz"]} pixels |
| data | {training["pictures"]:,} drawn scenes of `moai.data.drawn.export`, seeds from 0 |
| command | `{training["command"]}` |
| seed, time | {record["seed"]}; {run} |
| calibration | {calibration} |
| licence | {_LICENCE} |

Scores on held-out drawn scenes (the val split, seeds after those of training):

| measure | value |
| --- | --- |
| box mAP50 | {scores["box_map50"]:.3f} |
| box mAP50-95 | {scores["box_map50_95"]:.3f} |
| mask mAP50 | {scores["mask_map50"]:.3f} |
| mask mAP50-95 | {scores["mask_map50_95"]:.3f} |
| precision, recall at the best cut | {scores["precision"]:.3f}, {scores["recall"]:.3f} |

Worst classes by box AP50: {worst}. It knows drawings
alone; on photographs, name other ultralytics weights.
"""
    path = folder / "README.md"
    path.write_text(text)
    return path
