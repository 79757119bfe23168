"""Trains and scores the embedded relation head on drawn scenes, with boxes and masks as noisy as a detector's.

python -m moai.training.experts.relation_head weights/relations --scenes 24000 --epochs 10 --workers 2
"""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from moai.data.drawn.catalog import STUFF_LABELS, THING_LABELS
from moai.data.drawn.ground_truth import stuff_masks
from moai.data.drawn.levels import mixed
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.relations import PREDICATES
from moai.data.drawn.scene.sample import sample_layout
from moai.data.splits import RELATION_SEEDS_APART, RELATION_VALIDATION, HeldOutError, check_training
from perception.backends.relation_head import strongest
from perception.boxes import extent
from perception.kinds.scene_graph import RELATION_THRESHOLD
from perception.networks.relation_features import mask_grid, pair_features, strip_image, strips, thumbnail
from perception.networks.relation_head import RelationHead

IGNORED = ("sign",)
"""Things that drawn scenes give no relations."""
LABELS = tuple(label for label in THING_LABELS if label not in IGNORED) + STUFF_LABELS
_CLASS = {label: number + 1 for number, label in enumerate(LABELS)}
_BOX_NOISE, _MASK_NOISE, _MISSED, _UNKNOWN = 0.004, 0.4, 0.04, 0.01


@dataclass
class Example:
    """One scene: class_ids (N,) int16, thumbs (N, T) uint8, pairs (P, 2) int16, features (P, F) float16, targets (P,)
    int16 (number of the predicate, -1 for none), strips (S, *STRIP) uint8, strip_of (P,) int16 (-1 for none)."""

    class_ids: np.ndarray
    thumbs: np.ndarray
    pairs: np.ndarray
    features: np.ndarray
    targets: np.ndarray
    strips: np.ndarray
    strip_of: np.ndarray


def _noisy(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < _MASK_NOISE:
        change = cv2.dilate if rng.random() < 0.5 else cv2.erode
        changed = change(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        return changed if changed.any() else mask
    return mask


def make_example(seed: int, noise: bool = True) -> Example | None:
    """The pairs of one scene, of any difficulty, as the head will see them; None with fewer than two nodes."""
    layout = sample_layout(seed, mixed(seed))
    drawn = render(layout)
    rng = np.random.default_rng((seed, 0x9E1A))
    labels, masks, number_of = [], [], {}
    for index, item in enumerate(layout.objects):
        mask = drawn.instances == index
        if mask.any() and not (noise and rng.random() < _MISSED):
            number_of[index] = len(labels)
            labels.append(item.label)
            masks.append(_noisy(mask, rng) if noise else mask)
    things = len(labels)
    for label, mask in stuff_masks(layout, drawn).items():
        for index, stuff in enumerate(layout.stuff):
            if stuff.label == label:
                number_of[len(layout.objects) + index] = len(labels)
        labels.append(label)
        masks.append(mask)
    if not things or len(labels) < 2:
        return None
    boxes = np.array([extent(mask) for mask in masks])
    if noise:
        boxes[:things] = np.clip(boxes[:things] + rng.normal(0, _BOX_NOISE, (things, 4)), 0, 1)
        boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    pairs = np.array([(i, j) for i in range(things) for j in range(len(labels)) if i != j])
    height, width = drawn.instances.shape
    features = pair_features(boxes, np.stack([mask_grid(mask) for mask in masks]), width, height)
    truth = {
        (number_of[subject], number_of[other]): PREDICATES.index(predicate)
        for subject, predicate, other in layout.relations
        if subject in number_of and other in number_of
    }
    cut, number = strips(strip_image(drawn.image), boxes, things)
    ids = [0 if noise and rng.random() < _UNKNOWN else _CLASS[label] for label in labels]
    return Example(
        np.array(ids, np.int16),
        np.stack([thumbnail(drawn.image, mask, box) for mask, box in zip(masks, boxes, strict=True)]),
        pairs.astype(np.int16),
        features[pairs[:, 0], pairs[:, 1]].astype(np.float16),
        np.array([truth.get(tuple(pair), -1) for pair in pairs.tolist()], np.int16),
        cut,
        number[pairs[:, 0], pairs[:, 1]].astype(np.int16),
    )


def make_examples(count: int, first_seed: int, workers: int = 2, noise: bool = True) -> list[Example]:
    """Examples of the scenes with seeds `first_seed`, `first_seed` + 1, ..., made by `workers` processes."""
    work = partial(make_example, noise=noise)
    seeds = range(first_seed, first_seed + count)
    if workers <= 1:
        made = list(map(work, seeds))
    else:
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=partial(cv2.setNumThreads, 1)) as pool:
            made = list(pool.map(work, seeds, chunksize=64))
    return [example for example in made if example is not None]


def collate(examples: list[Example]) -> tuple[torch.Tensor, ...]:
    """(class_ids, thumbs, features, pairs, strips, strip_of, targets) of several scenes, pairs pointing into all their
    nodes and strip_of into all their strips."""
    starts = np.cumsum([0, *(len(example.class_ids) for example in examples)])
    pairs = [example.pairs.astype(np.int64) + start for example, start in zip(examples, starts, strict=False)]
    firsts = np.cumsum([0, *(len(example.strips) for example in examples)])
    strip_of = [
        np.where(one.strip_of < 0, -1, one.strip_of + first) for one, first in zip(examples, firsts, strict=False)
    ]
    return (
        torch.from_numpy(np.concatenate([example.class_ids for example in examples]).astype(np.int64)),
        torch.from_numpy(np.concatenate([example.thumbs for example in examples])),
        torch.from_numpy(np.concatenate([example.features for example in examples]).astype(np.float32)),
        torch.from_numpy(np.concatenate(pairs)),
        torch.from_numpy(np.concatenate([example.strips for example in examples])),
        torch.from_numpy(np.concatenate(strip_of)),
        torch.from_numpy(np.concatenate([example.targets for example in examples]).astype(np.int64)),
    )


def _one_hot(targets: torch.Tensor, classes: int) -> torch.Tensor:
    return nn.functional.one_hot(targets + 1, classes + 1)[:, 1:].float()


@torch.inference_mode()
def _logits(head: RelationHead, examples: list[Example]) -> list[torch.Tensor]:
    logits = []
    for start in range(0, len(examples), 256):
        part = examples[start : start + 256]
        *inputs, _ = collate(part)
        logits += head(*inputs).split([len(example.pairs) for example in part])
    return logits


def calibrate(head: RelationHead, examples: list[Example]) -> None:
    """Fits the temperature, then the power that moves the cut with the best F1 to verbalisation's threshold."""
    head.settings |= {"temperature": 1.0, "power": 1.0}
    logits = _logits(head, examples)
    joined = torch.cat(logits)
    targets = _one_hot(
        torch.from_numpy(np.concatenate([example.targets for example in examples])).long(), joined.shape[1]
    )
    trial = np.linspace(0.5, 2.5, 41)
    losses = [float(nn.functional.binary_cross_entropy_with_logits(joined / value, targets)) for value in trial]
    head.settings["temperature"] = round(float(trial[int(np.argmin(losses))]), 3)
    cuts = np.linspace(0.1, 0.9, 33)
    table = [score_at(head, examples, cut, logits) for cut in cuts]
    best = float(cuts[int(np.argmax([row["f1"] for row in table]))])
    head.settings["power"] = round(float(np.log(RELATION_THRESHOLD) / np.log(best)), 4)


def _predicted(head: RelationHead, example: Example, logits: torch.Tensor, least: float, most: int):
    best = head.scores(logits).max(dim=1)
    names = head.settings["predicates"]
    return strongest(example.pairs, best.indices.tolist(), best.values.tolist(), names, least, most)


def score_at(head: RelationHead, examples: list[Example], cut: float, logits: list[torch.Tensor] | None = None) -> dict:
    """Precision, recall and F1 of the relations with scores from `cut`, at most 10 a scene."""
    names = head.settings["predicates"]
    right = said = true = 0
    for example, own in zip(examples, logits or _logits(head, examples), strict=True):
        wanted = _truth(example, names)
        told = _predicted(head, example, own, cut, 10)
        right += sum((one.subject, one.predicate, one.object) in wanted for one in told)
        said, true = said + len(told), true + len(wanted)
    precision, recall = right / max(said, 1), right / max(true, 1)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-9)}


def _truth(example: Example, names) -> set[tuple[int, str, int]]:
    return {
        (int(example.pairs[index, 0]), names[int(example.targets[index])], int(example.pairs[index, 1]))
        for index in np.flatnonzero(example.targets >= 0)
    }


def evaluate_relations(head: RelationHead, examples: list[Example]) -> dict:
    """Recall@20 (mean over scenes with relations), and precision and recall of what verbalisation would say.

    "by_predicate" has the recall@20 of each predicate with its count.
    """
    names = head.settings["predicates"]
    logits = _logits(head, examples)
    recalls, hits, counts = [], dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for example, own in zip(examples, logits, strict=True):
        wanted = _truth(example, names)
        told = {(one.subject, one.predicate, one.object) for one in _predicted(head, example, own, 0.0, 20)}
        for triple in wanted:
            counts[triple[1]] += 1
            hits[triple[1]] += triple in told
        if wanted:
            recalls.append(len(wanted & told) / len(wanted))
    said = score_at(head, examples, RELATION_THRESHOLD, logits)
    by_predicate = {name: [round(hits[name] / counts[name], 3), counts[name]] for name in names if counts[name]}
    rounded = {f"{name}_said": round(value, 4) for name, value in said.items()}
    return {"recall_at_20": round(float(np.mean(recalls)), 4), **rounded, "by_predicate": by_predicate}


def train_relations(
    folder: str | Path,
    scenes: int = 24_000,
    epochs: int = 10,
    held_out: int = 1_500,
    seed: int = 0,
    workers: int = 2,
    learning_rate: float = 2e-3,
    rows: int = 128,
) -> dict:
    """Trains on the CPU and saves head and settings into `folder`; returns the scores on held-out scenes.

    scenes: training scenes, seeds `seed` * 1,000,000 and up; half of `held_out` scenes calibrate the scores, the rest
    is scored. `rows`: scenes a step.
    Raises ValueError for a seed whose scenes are held out, and for more held-out scenes than there are.
    """
    first = seed * RELATION_SEEDS_APART
    check_training(range(first, first + scenes))
    if not 2 <= held_out <= len(RELATION_VALIDATION):
        raise ValueError(f"the number of held-out scenes must be 2 to {len(RELATION_VALIDATION):,}, got {held_out}")
    torch.manual_seed(seed)
    started = time.monotonic()
    examples = make_examples(scenes, first, workers)
    print(f"{len(examples)} scenes in {time.monotonic() - started:.0f} s", flush=True)
    head = RelationHead(LABELS, PREDICATES, STUFF_LABELS, IGNORED)
    optimizer = torch.optim.AdamW(head.parameters(), lr=learning_rate, weight_decay=0.02)
    steps = epochs * (len(examples) // rows)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=max(steps, 40), pct_start=0.1)
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        order, total = rng.permutation(len(examples)), 0.0
        for start in range(0, len(order) - rows + 1, rows):
            *inputs, targets = collate([examples[i] for i in order[start : start + rows]])
            logits = head(*inputs)
            wanted = _one_hot(targets, logits.shape[1])
            # A sum over predicates: a mean would make the rare true ones all but invisible.
            loss = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / len(targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        count = max(len(order) // rows, 1)
        print(f"epoch {epoch + 1}: loss {total / count:.4f}, {time.monotonic() - started:.0f} s", flush=True)
    head.eval()
    held = make_examples(held_out, RELATION_VALIDATION.start, workers)
    half = len(held) // 2
    calibrate(head, held[:half])
    scores = evaluate_relations(head, held[half:])
    seconds = round(time.monotonic() - started)
    training = {"scenes": len(examples), "epochs": epochs, "seed": seed, "seconds": seconds, "scores": scores}
    head.save(folder, training=training)
    return scores


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the embedded relation head on drawn scenes, then score it.")
    parser.add_argument("folder", help="where the head goes, for example weights/relations")
    parser.add_argument("--scenes", type=int, default=24_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--held-out", type=int, default=1_500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(argv)
    try:
        print(json.dumps(train_relations(**vars(options)), indent=1))
    except HeldOutError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
