"""The experiments with sparse arms: cells that are done once, equal arms, and tables that say what refutes what."""

import argparse
import dataclasses
import json
import os
import resource

import pytest
import torch

from moai.profiling import scaling
from moai.profiling.cells import Cells
from moai.profiling.sparse import __main__ as command
from moai.profiling.sparse import arms, experiments
from moai.profiling.sparse.tables import difference
from moai.profiling.sparse.texts import Texts
from moai.training.run import fresh_model

TINY = arms.Size(32, 1, 2, 64)
NAMES = ("arms", "capacity", "prune")


def asked(file, *given: str) -> argparse.Namespace:
    small = ["--seeds", "1", "--steps", "2", "--rows", "2", "--texts", "24", "--held-out", "4", "--workers", "0"]
    return command.parser().parse_intermixed_args([*small, "--device", "cpu", str(file), *given])


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The file with all cells of one seed, and the tables."""
    file = tmp_path_factory.mktemp("sparse") / "cells.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PACED": 1, "WARM": 0, "BOUNDED": (experiments.FINE,), "KEPT": (16,)}.items():
            patch.setattr(experiments, name, value)
        patch.setattr(experiments, "WAYS", ("load", "random"))
        yield file, command.run(asked(file, *NAMES), size=TINY, tuning=1)


def test_every_cell_is_a_line_and_done_once(ran, monkeypatch):
    file, told = ran
    cells = {one["cell"]: one for one in map(json.loads, file.read_text().splitlines())}
    assert list(cells) == [
        "plan",
        *(f"arms | {arm} | seed 0" for arm in arms.ARMS),
        *(f"capacity | 1+63 top-7 | {by} | seed 0" for by in ("random", "position")),
        *(f"prune | {by} | 16 | seed 0" for by in ("load", "random")),
    ]
    assert cells["plan"]["steps"] == 2 and set(cells["plan"]["ms"]) == set(arms.ARMS)
    assert all(one["loss"] > 0 and one["ms"] > 0 for name, one in cells.items() if name.startswith("arms"))
    assert set(cells["arms | 1+63 top-7 | seed 0"]["without"]) == {"routed", "shared", "swapped"}
    assert 0 < cells["capacity | 1+63 top-7 | random | seed 0"]["dropped"] < 1
    # What was pruned is what was trained before.
    trained = cells["arms | 1+63 top-7 | seed 0"]["loss"]
    assert {cells[f"prune | {by} | 16 | seed 0"]["before"] for by in ("load", "random")} == {trained}
    for row in ("| dense |", "| 1+63 top-7 | by random |", "| 16 | load |"):
        assert row in told
    monkeypatch.setattr(experiments, "train", None)
    assert command.run(asked(file, *NAMES), size=TINY, tuning=1) == told


def test_another_run_cannot_go_on_in_the_file(ran):
    file, _ = ran
    with pytest.raises(ValueError, match="was begun with steps 2, not 3; name another file"):
        command.run(asked(file, "--steps", "3"), size=TINY)
    with pytest.raises(ValueError, match="was begun with size"):
        command.run(asked(file), size=dataclasses.replace(TINY, renormalise=True))


def test_nothing_is_begun_that_would_not_end_in_time(ran, capsys):
    file, told = ran
    late = asked(file, *NAMES, "--seeds", "2", "--time-limit", "0.01")
    assert command.run(late, size=TINY, tuning=1) == told
    assert "no time is left for arms | dense | seed 1" in capsys.readouterr().out


def test_arms_are_equal_in_what_they_compute():
    processor = fresh_model(0)[1]
    active, held = {}, {}
    for arm in arms.ARMS:
        objective = arms.build(arm, TINY, processor, arms.experiment(steps=1), torch.device("cpu"))
        feed_forward = objective.model.language_model.layers[0].mlp
        experts = getattr(feed_forward, "experts", None)
        shared = feed_forward if experts is None else feed_forward.shared_experts
        active[arm] = 0 if shared is None else sum(one.numel() for one in shared.parameters())
        held[arm] = active[arm]
        if experts is not None:
            routed = sum(one.numel() for one in experts.parameters())
            active[arm] += routed * feed_forward.gate.active // experts.num_experts
            held[arm] += routed
    assert set(active.values()) == {3 * 32 * 2 * 64}
    assert {held[arm] for arm in arms.ARMS if arm != "dense"} == {3 * 32 * 16 * 64}


def test_weights_are_renormalised_where_there_are_several():
    processor, size = fresh_model(0)[1], dataclasses.replace(TINY, renormalise=True)
    for arm, expected in {"1+15 top-1": False, "1+63 top-7": True}.items():
        objective = arms.build(arm, size, processor, arms.experiment(steps=1), torch.device("cpu"))
        assert objective.model.config.sparse_renormalise is expected


def test_a_difference_is_told_with_its_interval():
    told = difference("a - b", {0: 1.0, 1: 1.1, 2: 1.2}, {0: 2.0, 1: 2.1, 2: 2.3})
    assert told is not None and told.startswith("a - b: -1.0333 (-1.1768 to -0.8899, 3 seeds): below")
    assert "no difference" in str(difference("", {0: 1.0, 1: 2.0}, {0: 2.0, 1: 1.0}))
    assert difference("", {0: 1.0}, {0: 2.0, 1: 1.0}) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["speed"], "unknown experiment 'speed'; allowed are arms, capacity, prune"),
        (["--seeds", "0"], "--seeds is 0, but must be above 0"),
        (["--held-out", "70000"], "70000 of 65536 texts cannot be held out"),
    ],
)
def test_what_cannot_be_is_refused(given, said, tmp_path, capsys):
    assert command.main([str(tmp_path / "cells.jsonl"), *given]) == 2
    assert said in capsys.readouterr().err


def test_a_file_of_something_else_is_refused(tmp_path):
    file = tmp_path / "cells.jsonl"
    file.write_text('{"cell": "plan"}\n{"loss": 1}\n')
    with pytest.raises(ValueError, match="line 2 of"):
        Cells(file)


def test_scaling_knows_the_ways_of_sparse_models(tmp_path):
    options = argparse.Namespace(
        size="sparse", rows=4, questions=2, workers=0, save_every=9, resume=False, folder=str(tmp_path)
    )
    found = []
    for way in ("ddp", "fsdp", "ddp+experts", "fsdp+experts"):
        options.shardings = [way]
        experiment = scaling.experiment_of(options, 2)
        found.append((experiment.sharding, experiment.experts_parallel, experiment.rows))
    assert found == [("ddp", 1, 8), ("fsdp", 1, 8), ("ddp", 2, 8), ("fsdp", 2, 8)]
    assert "decoder" in experiment.trains and dataclasses.replace(experiment, steps=1).balance_weight > 0


def test_texts_of_other_processes_hold_no_file_open(tmp_path):
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 60, most))
    try:
        texts = Texts(fresh_model(0)[1], tmp_path / "texts.safetensors", 800, 80, torch.device("cpu"), workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
    assert len(texts.ids) == 800
