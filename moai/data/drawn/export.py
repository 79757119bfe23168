"""Writes drawn scenes as an ultralytics segmentation data set.

python -m moai.data.drawn.export FOLDER --count 20000 --val 1000 --first-seed 0 --workers 16
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.ground_truth import stuff_masks
from moai.data.drawn.layout import Layout
from moai.data.drawn.levels import MEDIUM, mixed
from moai.data.drawn.render.render import Drawn, render
from moai.data.drawn.scene.sample import sample_layout
from moai.data.splits import HeldOutError, check_training

CLASSES: tuple[str, ...] = THING_LABELS + STUFF_LABELS
"""Class names by number."""

_NUMBER = {label: number for number, label in enumerate(CLASSES)}
_MIN_AREA = 12
JPEG_QUALITY = 90


def joined(polygons: list[np.ndarray]) -> np.ndarray:
    """One (K, 2) polygon from several: each next one is tied on by its nearest corner, there and back."""
    whole = polygons[0]
    for other in polygons[1:]:
        distance = ((whole[:, None] - other[None]) ** 2).sum(axis=2)
        i, j = np.unravel_index(int(distance.argmin()), distance.shape)
        around = np.concatenate([other[j:], other[: j + 1]])
        whole = np.concatenate([whole[: i + 1], around, whole[i:]])
    return whole


def outline(mask: np.ndarray, tolerance: float = 0.7) -> np.ndarray | None:
    """The outer border of a boolean (H, W) mask as one (K, 2) polygon in pixels, or None when there is next to nothing.

    Corners lie on the edges of pixels, so that the polygon's extent is the mask's.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    top, left = rows[0], columns[0]
    crop = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    # At twice the size, rounding the half-pixel borders outwards puts corners on pixel edges.
    double = cv2.resize(crop, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    polygons = []
    for contour in contours:
        if cv2.contourArea(contour) >= _MIN_AREA * 4:
            points = cv2.approxPolyDP(contour, tolerance * 2, True).reshape(-1, 2)
            polygons.append((points + 1) // 2 + (left, top))
    return joined(polygons).astype(np.float32) if polygons else None


def label_lines(layout: Layout, drawn: Drawn) -> list[str]:
    """The label file of a picture: a line `class x1 y1 x2 y2 ...` for each thing, sign and stuff that can be seen.

    Things follow their visible masks. Stuff is outlined as if nothing stood before it (smaller masks win where two
    overlap in ultralytics' data sets).
    """
    height, width = drawn.instances.shape
    regions: list[tuple[str, np.ndarray]] = [
        (item.label, drawn.instances == index) for index, item in enumerate(layout.objects)
    ]
    regions += [("sign", drawn.instances == -2 - index) for index in range(len(layout.signs))]
    for label in stuff_masks(layout, drawn):
        members = [index for index, stuff in enumerate(layout.stuff) if stuff.label == label]
        regions.append((label, np.isin(drawn.stuff, members)))
    lines = []
    for label, mask in regions:
        polygon = outline(mask)
        if polygon is not None:
            numbers = np.clip(polygon / (width, height), 0, 1).ravel().tolist()
            lines.append(f"{_NUMBER[label]} " + " ".join(f"{number:.5g}" for number in numbers))
    return lines


def write_one(
    seed: int, folder: Path, split: str = "train", scale: float = 1.0, difficulty: float | None = None
) -> None:
    """Writes picture and label file of one seed: images/SPLIT/SEED.jpg and labels/SPLIT/SEED.txt."""
    layout = sample_layout(seed, mixed(seed) if difficulty is None else difficulty)
    drawn = render(layout, scale)
    picture = cv2.cvtColor(drawn.image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    (folder / "images" / split / f"{seed:09d}.jpg").write_bytes(data.tobytes())
    (folder / "labels" / split / f"{seed:09d}.txt").write_text("\n".join(label_lines(layout, drawn)) + "\n")


def _single_threaded() -> None:
    cv2.setNumThreads(1)


def write_yolo_dataset(
    folder: str | Path,
    count: int,
    first_seed: int = 0,
    workers: int | None = None,
    split: str = "train",
    scale: float = 1.0,
    difficulty: float | None = None,
) -> Path:
    """Writes `count` scenes with seeds `first_seed`, `first_seed` + 1, ... and returns the path of data.yaml.

    Pictures are JPEG with a longer side of 384 px times `scale`, of one difficulty or, with None, of all. `workers`
    processes (all cores by default; 1 for none but this). Call it once a split; data.yaml names images/val for
    validation once that folder is there, and images/train before.
    Raises ValueError, before anything is written, for held-out seeds in a split other than val.
    """
    seeds = range(first_seed, first_seed + count)
    if split != "val":
        check_training(seeds)
    folder = Path(folder).resolve()
    for kind in ("images", "labels"):
        (folder / kind / split).mkdir(parents=True, exist_ok=True)
    work = partial(write_one, folder=folder, split=split, scale=scale, difficulty=difficulty)
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        for seed in seeds:
            work(seed)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_single_threaded) as pool:
            for _ in pool.map(work, seeds, chunksize=max(1, min(64, count // (4 * workers)))):
                pass
    val = "val" if (folder / "images" / "val").is_dir() else "train"
    names = "\n".join(f"  {number}: {json.dumps(label)}" for number, label in enumerate(CLASSES))
    config = folder / "data.yaml"
    config.write_text(f"path: {json.dumps(str(folder))}\ntrain: images/train\nval: images/{val}\nnames:\n{names}\n")
    return config


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write drawn scenes as an ultralytics segmentation data set.")
    parser.add_argument("folder")
    parser.add_argument("--count", type=int, default=20000, help="training pictures")
    parser.add_argument("--val", type=int, default=1000, help="validation pictures, with the seeds that follow")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None, help="processes (default: all cores)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is a longer side of 384 px")
    parser.add_argument("--difficulty", type=float, help="of the scenes, 0 to 1 (default: mixed, validation medium)")
    options = parser.parse_args(argv)
    common = {"workers": options.workers, "scale": options.scale}
    try:
        check_training(range(options.first_seed, options.first_seed + options.count))
    except HeldOutError as error:
        parser.error(str(error))
    level = MEDIUM if options.difficulty is None else options.difficulty
    if options.val:
        first = options.first_seed + options.count
        write_yolo_dataset(options.folder, options.val, first, split="val", difficulty=level, **common)
    print(
        write_yolo_dataset(options.folder, options.count, options.first_seed, difficulty=options.difficulty, **common)
    )


if __name__ == "__main__":
    main()
