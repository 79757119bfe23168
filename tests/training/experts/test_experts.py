"""Perception's embedded experts: tiny runs of their training, end to end."""

import json

import numpy as np
import pytest
import torch
import yaml

from moai.data.drawn.export import write_yolo_dataset
from moai.data.drawn.levels import mixed
from moai.data.drawn.render.render import render
from moai.data.drawn.scene.sample import sample_layout
from moai.training.experts.detector import evaluate_detector, train_detector
from moai.training.experts.detector_card import write_card
from moai.training.experts.relation_head import (
    evaluate_relations,
    make_example,
    make_examples,
    score_at,
    train_relations,
)
from perception.networks.relation_head import RelationHead
from perception.networks.yolo import Yolo


def test_detector(tmp_path):
    write_yolo_dataset(tmp_path / "data", 4, 100, workers=1, split="val", scale=0.3)
    data = write_yolo_dataset(tmp_path / "data", 8, 0, workers=1, scale=0.3)
    architecture = tmp_path / "tiny-seg.yaml"
    architecture.write_text(
        yaml.safe_dump(
            {
                "nc": 80,
                "backbone": [[-1, 1, "Conv", [8, 3, 2]] for _ in range(5)],
                "head": [[[2, 3, 4], 1, "Segment", ["nc", 8, 8]]],
            }
        )
    )
    settings = {"imgsz": 64, "batch": 4, "workers": 0, "device": "cpu", "model": str(architecture)}
    folder = tmp_path / "detector"
    train_detector(data, folder, epochs=1, run_dir=tmp_path / "run", **settings)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "model.yaml"]
    assert not list(tmp_path.rglob("*.pt"))
    # Going on from it starts from its weights.
    train_detector(data, folder, epochs=2, run_dir=tmp_path / "run", start_from=folder, resident=True, **settings)
    scores = evaluate_detector(folder, data, batch=4, workers=0, device="cpu", calibrate=True, run_dir=tmp_path / "val")
    assert 0 <= scores["box_map50"] <= 1 and 0 <= scores["mask_map50"] <= 1
    record = json.loads((folder / "config.json").read_text())
    assert record["training"]["pictures"] == 8 and record["evaluation"] == scores
    card = write_card(folder).read_text()
    assert f"| box mAP50 | {scores['box_map50']:.3f} |" in card
    network = Yolo(folder, device="cpu")
    network(render(sample_layout(3)).image)
    assert "person" in network.names and "grass" in network.stuff


@pytest.fixture(scope="module")
def relations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relations")
    torch.set_num_threads(2)
    return folder, train_relations(folder, scenes=32, epochs=2, held_out=16, workers=1, rows=8)


def test_relations(relations):
    folder, scores = relations
    assert 0 <= scores["recall_at_20"] <= 1 and scores["by_predicate"]
    head = RelationHead.load(folder)
    examples = make_examples(10, 900, workers=1)
    again = evaluate_relations(head, examples)
    assert again == evaluate_relations(head, examples)
    assert score_at(head, examples, 0.0)["recall"] >= score_at(head, examples, 0.9)["recall"]


def test_examples_hold_the_true_relations():
    for seed in range(20):
        example = make_example(seed, noise=False)
        if example is None:
            continue
        layout = sample_layout(seed, mixed(seed))
        assert np.count_nonzero(example.targets >= 0) == len(layout.relations)
        assert example.features.shape[0] == example.pairs.shape[0] == example.targets.shape[0]
        assert np.isfinite(example.features).all()
