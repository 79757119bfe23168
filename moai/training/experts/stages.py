"""train.py's stages `detector` and `relations`: from drawn scenes to the folder of an embedded expert."""

import argparse
import json
from pathlib import Path

import torch

DATA = Path("datasets/detector")


def train_expert_stage(arguments: argparse.Namespace) -> None:
    """Runs one stage into `arguments.output`, with what of train.py's options applies, and prints its scores.

    detector: draws 49,000 pictures into datasets/detector unless they are there, then takes --minutes (default 6.3),
    --rows (pictures a step, default 256), --learning-rate, --seed, --workers and --init. relations: --seed and
    --workers.
    """
    if arguments.stage == "relations":
        from moai.training.experts.relation_head import train_relations

        settings = {"scenes": 60_000, "epochs": 14, "held_out": 3_000}
        scores = train_relations(arguments.output, seed=arguments.seed, workers=arguments.workers or 2, **settings)
        print(json.dumps(scores, indent=1), flush=True)
        return
    from moai.training.experts.detector import evaluate_detector, train_detector
    from moai.training.experts.detector_card import write_card

    workers = arguments.workers or 8
    data = _drawn_images(workers)
    rate = {} if arguments.learning_rate is None else {"learning_rate": arguments.learning_rate}
    train_detector(
        data, arguments.output, hours=(arguments.minutes or 6.3) / 60, batch=arguments.rows or 256, workers=workers,
        # A GPU would wait for the processes that decode and vary pictures.
        resident=torch.cuda.is_available(),
        seed=arguments.seed, start_from=arguments.init, **rate,
    )  # fmt: skip
    print(json.dumps(evaluate_detector(arguments.output, data, workers=workers, calibrate=True), indent=1), flush=True)
    write_card(arguments.output)


def _drawn_images(workers: int) -> Path:
    from moai.data.drawn.export import write_yolo_dataset
    from moai.data.drawn.levels import MEDIUM
    from moai.data.splits import DETECTOR_TRAINING, DETECTOR_VALIDATION

    data = DATA / "data.yaml"
    # The training pictures come last, so a data set that was interrupted is drawn again.
    if not data.is_file():
        held_out, seeds = DETECTOR_VALIDATION, DETECTOR_TRAINING
        write_yolo_dataset(DATA, len(held_out), held_out.start, workers, split="val", difficulty=MEDIUM)
        data.unlink()
        write_yolo_dataset(DATA, len(seeds), seeds.start, workers)
    return data
