"""Runs the experiments `detector` and `relations`: from drawn scenes to the folder of an embedded expert."""

import json
from pathlib import Path

import torch

from moai.training.experiment import DetectorExperiment, RelationsExperiment, save_experiment


def run_relations(experiment: RelationsExperiment) -> None:
    """Trains the relation head into `experiment.output` and prints its scores."""
    from moai.training.experts.relation_head import train_relations

    names = ("scenes", "epochs", "held_out", "seed", "workers", "learning_rate", "rows")
    settings = {name: getattr(experiment, name) for name in names}
    scores = train_relations(experiment.output, **settings)
    save_experiment(experiment, Path(experiment.output))
    print(json.dumps(scores, indent=1), flush=True)


def run_detector(experiment: DetectorExperiment) -> None:
    """Draws pictures unless they are there, trains the detector into `experiment.output` and prints its scores."""
    from moai.training.experts.detector import evaluate_detector, train_detector
    from moai.training.experts.detector_card import write_card

    data = _drawn_images(Path(experiment.data), experiment.workers)
    train_detector(
        data,
        experiment.output,
        hours=experiment.minutes / 60,
        batch=experiment.rows,
        workers=experiment.workers,
        learning_rate=experiment.learning_rate,
        # A GPU would wait for the processes that decode and vary pictures.
        resident=torch.cuda.is_available(),
        seed=experiment.seed,
        start_from=experiment.init,
    )
    scores = evaluate_detector(experiment.output, data, workers=experiment.workers, calibrate=True)
    save_experiment(experiment, Path(experiment.output))
    print(json.dumps(scores, indent=1), flush=True)
    write_card(experiment.output)


def _drawn_images(folder: Path, workers: int) -> Path:
    from moai.data.drawn.export import write_yolo_dataset
    from moai.data.drawn.levels import MEDIUM
    from moai.data.splits import DETECTOR_TRAINING, DETECTOR_VALIDATION

    data = folder / "data.yaml"
    # The training pictures come last, so a data set that was interrupted is drawn again.
    if not data.is_file():
        held_out, seeds = DETECTOR_VALIDATION, DETECTOR_TRAINING
        write_yolo_dataset(folder, len(held_out), held_out.start, workers, split="val", difficulty=MEDIUM)
        data.unlink()
        write_yolo_dataset(folder, len(seeds), seeds.start, workers)
    return data
