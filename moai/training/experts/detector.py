"""Trains and scores the embedded detector: one YOLO nano segmentation network for things and stuff of drawn scenes.

python -m moai.training.experts.detector DATA.yaml weights/detector --hours 0.12 --batch 256 --workers 14
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np

from moai.data.drawn.catalog import STUFF_LABELS
from moai.training.experts.detector_card import write_card
from moai.training.experts.gpu_dataset import ResidentLoader, Variation
from moai.training.experts.mask_loss import batched_mask_loss
from perception.networks.yolo import SETTINGS_FILE, build_network, import_ultralytics, save_network, wrapped

DEFAULT_MODEL = "yolo11n-seg.yaml"
THRESHOLD = 0.25
"""Least calibrated score that the embedded detector reports; verbalisation keeps what is above 0.5."""

# Drawn scenes are endless already, so only what they do not vary much is varied here. No mosaic: it would cut the
# regions of the background, which are classes too.
AUGMENTATION = {
    "mosaic": 0.0, "close_mosaic": 0, "mixup": 0.0, "copy_paste": 0.0, "erasing": 0.0, "auto_augment": None,
    "degrees": 0.0, "translate": 0.06, "scale": 0.25, "fliplr": 0.0, "hsv_h": 0.008, "hsv_s": 0.25, "hsv_v": 0.2,
}  # fmt: skip


def _quiet_ultralytics():
    # Training must neither look for the network nor send anything.
    os.environ["YOLO_OFFLINE"] = "1"
    os.environ["YOLO_VERBOSE"] = "true"
    ultralytics = import_ultralytics()
    from ultralytics.utils import SETTINGS

    # In memory only: the person's own settings file stays as it is.
    dict.update(SETTINGS, {"sync": False})
    return ultralytics


def _trainer_class(out_dir: Path, settings: dict, start_from: Path | None, resident: bool):
    from ultralytics.data import build_yolo_dataset
    from ultralytics.models.yolo.segment import SegmentationTrainer
    from ultralytics.nn.tasks import SegmentationModel
    from ultralytics.utils.loss import v8SegmentationLoss

    class BatchedLoss(v8SegmentationLoss):
        def calculate_segmentation_loss(
            self, fg_mask, masks, target_gt_idx, target_bboxes, batch_idx, proto, pred_masks, imgsz
        ):
            return batched_mask_loss(fg_mask, masks, target_gt_idx, target_bboxes, proto, pred_masks, imgsz)

    class FasterModel(SegmentationModel):
        def init_criterion(self):
            criterion = super().init_criterion()
            # Other losses (those of YOLO26) have parts of their own and stay as they are.
            return BatchedLoss(self) if type(criterion) is v8SegmentationLoss else criterion

    class DrawnSceneTrainer(SegmentationTrainer):
        """Saves safetensors after each epoch in place of pickled checkpoints."""

        def get_model(self, cfg=None, weights=None, verbose=True):
            network = super().get_model(cfg, None, verbose)
            network.__class__ = FasterModel
            if start_from is not None:
                state = build_network(start_from)[0].state_dict()
                network.load_state_dict(state)
            return network

        def get_dataloader(self, dataset_path, batch_size=16, rank=0, mode="train"):
            if mode == "val" or not resident:
                return super().get_dataloader(dataset_path, batch_size, rank, mode)
            plain = build_yolo_dataset(self.args, dataset_path, batch_size, self.data, mode="val", rect=False)
            return ResidentLoader(plain, batch_size, self.args.workers, self.device, Variation())

        def preprocess_batch(self, batch):
            if batch["img"].is_floating_point():  # a resident batch is where and as it should be
                return batch
            return super().preprocess_batch(batch)

        def save_model(self):
            network = self.ema.ema
            network.names = self.data["names"]
            save_network(network, out_dir, settings)
            return True

        def read_results_csv(self):
            return {}

        def final_eval(self):
            """The last epoch has been validated with the same averaged weights."""

    return DrawnSceneTrainer


def train_detector(
    data_yaml: str | Path,
    out_dir: str | Path,
    *,
    epochs: int = 60,
    hours: float | None = None,
    imgsz: int = 320,
    batch: int = 128,
    model: str = DEFAULT_MODEL,
    learning_rate: float = 2e-3,
    workers: int = 8,
    device: str | None = None,
    resident: bool = False,
    start_from: str | Path | None = None,
    run_dir: str | Path = "runs/detector",
    seed: int = 0,
) -> dict:
    """Trains from the yaml of an ultralytics network, without any download, and writes `out_dir` after each epoch.

    data_yaml: what `moai.data.drawn.export.write_yolo_dataset` wrote, with a val split. `hours` of training decide in
    place of `epochs` when given; the learning rate falls along a cosine to a hundredth either way. `imgsz`: side in
    pixels, a multiple of 32. `device`: as ultralytics has it ("cpu", "0"); default a GPU when there is one. `resident`
    keeps the whole data set on the device (0.3 MB a picture of 320 px) and varies it there, which is many times faster
    where decoding would set the pace. `start_from`: a folder written by an earlier call to go on from. `run_dir` takes
    ultralytics' logs. Returns and writes into `out_dir`/config.json the settings, with seconds, epochs and scores of
    the last validation. Weights are the exponential moving average, fp16.
    """
    import torch

    _quiet_ultralytics()
    on_gpu = torch.cuda.is_available() and device != "cpu"
    out_dir, run_dir = Path(out_dir), Path(run_dir).resolve()
    duration = f"--hours {hours}" if hours else f"--epochs {epochs}"
    settings = {"imgsz": imgsz, "threshold": THRESHOLD, "score_power": 1.0, "stuff": list(STUFF_LABELS)}
    settings |= {"architecture": model, "seed": seed}
    started = time.monotonic()
    trainer = _trainer_class(out_dir, settings, None if start_from is None else Path(start_from), resident)(
        overrides={
            "model": model, "data": str(data_yaml), "epochs": epochs, "imgsz": imgsz, "batch": batch, "device": device,
            "workers": workers, "project": str(run_dir.parent),
            "name": run_dir.name, "exist_ok": True, "seed": seed, "deterministic": False,
            # Saying bf16 leaves out a check that downloads a pretrained network.
            "amp": "bf16" if on_gpu else False,
            "optimizer": "AdamW", "momentum": 0.9, "lr0": learning_rate, "lrf": 0.01, "cos_lr": True,
            "warmup_epochs": 1.0, "warmup_bias_lr": 0.0, "weight_decay": 5e-4, "patience": 10**6, "val": False,
            "plots": False, "pretrained": False, **({"time": hours} if hours else {}), **AUGMENTATION,
        }
    )  # fmt: skip
    trainer.train()
    settings["training"] = {
        "pictures": len(trainer.train_loader.dataset),
        "epochs": trainer.epoch + 1,
        "batch": trainer.batch_size,
        "learning_rate": learning_rate,
        "command": f"python -m moai.training.experts.detector DATA.yaml FOLDER {duration} "
        f"--batch {batch} --imgsz {imgsz}" + (" --resident" if resident else ""),
        "device": torch.cuda.get_device_name() if on_gpu else "CPU",
        "started_from": None if start_from is None else str(start_from),
        "seconds": round(time.monotonic() - started),
        "scores": {name: round(float(value), 4) for name, value in trainer.metrics.items() if "loss" not in name},
    }
    trainer.save_model()
    return settings


def evaluate_detector(
    folder: str | Path,
    data_yaml: str | Path,
    *,
    batch: int = 32,
    workers: int = 2,
    device: str | None = None,
    calibrate: bool = False,
    run_dir: str | Path = "runs/detector_val",
) -> dict:
    """Scores a trained detector on the val split of a data set: box and mask mAP50 over classes, precision, recall.

    Returns {"box_map50", "box_map50_95", "mask_map50", "mask_map50_95", "best_cut", "precision", "recall",
    "worst": {label: AP50 of the ten worst}}, where `best_cut` is the raw score at which F1, averaged over classes, is
    best. With `calibrate`, `score_power` in the folder's config.json is set so that this cut becomes 0.5, the
    threshold of verbalisation.
    """
    _quiet_ultralytics()
    network, settings = build_network(folder)
    metrics = wrapped(network).val(
        data=str(data_yaml), imgsz=settings["imgsz"], batch=batch, workers=workers, device=device, plots=False,
        verbose=False, save=False, project=str(Path(run_dir).resolve().parent), name=Path(run_dir).name, exist_ok=True,
    )  # fmt: skip
    mean_f1 = np.asarray(metrics.box.f1_curve).mean(axis=0)
    best_cut = float(np.asarray(metrics.box.px)[int(mean_f1.argmax())])
    ap50 = {
        network.names[int(index)]: float(ap)
        for index, ap in zip(metrics.box.ap_class_index, metrics.box.ap50, strict=True)
    }
    scores = {
        "box_map50": float(metrics.box.map50),
        "box_map50_95": float(metrics.box.map),
        "mask_map50": float(metrics.seg.map50),
        "mask_map50_95": float(metrics.seg.map),
        "best_cut": best_cut,
        "precision": float(metrics.box.mp),
        "recall": float(metrics.box.mr),
    }
    scores = {name: round(value, 4) for name, value in scores.items()}
    scores["worst"] = {name: round(ap50[name], 3) for name in sorted(ap50, key=ap50.get)[:10]}
    if calibrate:
        path = Path(folder) / SETTINGS_FILE
        record = json.loads(path.read_text())
        record["score_power"] = round(math.log(0.5) / math.log(min(max(best_cut, 0.05), 0.95)), 4)
        record["evaluation"] = scores
        path.write_text(json.dumps(record, indent=1) + "\n")
    return scores


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the embedded detector on drawn scenes, then score it.")
    parser.add_argument("data", help="data.yaml written by moai.data.drawn.export")
    parser.add_argument("folder", help="where the detector goes, for example weights/detector")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--hours", type=float, help="training time; decides in place of --epochs")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--device")
    parser.add_argument("--resident", action="store_true", help="keep all pictures on the device and vary them there")
    parser.add_argument("--start-from", help="folder of a detector to go on from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate-only", action="store_true")
    options = parser.parse_args(argv)
    if not options.evaluate_only:
        given = {
            name: value for name, value in vars(options).items() if name not in ("data", "folder", "evaluate_only")
        }
        print(json.dumps(train_detector(options.data, options.folder, **given)), flush=True)
    common = {"batch": min(options.batch, 64), "workers": options.workers, "device": options.device}
    print(json.dumps(evaluate_detector(options.folder, options.data, calibrate=True, **common), indent=1))
    write_card(options.folder)


if __name__ == "__main__":
    main()
