"""Which arm learns best, whom a full expert should take, and how many experts can go: cell by cell."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model

from moai.models.processing import MoAIProcessor
from moai.models.sparse.prune import prune
from moai.profiling.cells import Cells, Figures
from moai.profiling.sparse.arms import (
    ARMS,
    WARM,
    Size,
    Trained,
    autocast,
    build,
    experiment,
    held_out,
    objective_of,
    train,
    without,
)
from moai.profiling.sparse.texts import Texts
from moai.training.experiment import ModelExperiment
from moai.training.objective import MoAIObjective
from moai.training.usage import WAYS, Measured

PACED = 5
"""Steps that a pace is taken of, before the number of steps is chosen."""
FINE, COARSE = "1+63 top-7", "1+15 top-1"
BOUNDED = (COARSE, FINE)
"""Arms that are trained with a capacity."""
CAPACITY = 1.0
KEPT = (32, 16)
"""Experts that are left of 63 in each layer."""
TUNING = 100
"""Steps after pruning."""
MEASURED = 4
"""Batches that tell what experts are used for."""


@dataclass(frozen=True)
class Laboratory:
    """What all cells share. `minutes` are for all arms with all seeds, which decides how many steps each takes, unless
    `steps` says so; arms that were trained stay in the folder `models`."""

    cells: Cells
    texts: Texts
    processor: MoAIProcessor
    device: torch.device
    models: Path
    seeds: int = 3
    rows: int = 128
    minutes: float = 10.0
    steps: int | None = None
    size: Size = Size()  # noqa: RUF009
    tuning: int = TUNING

    def run(self, name: str) -> None:
        """The cells of one of `EXPERIMENTS`; raises OutOfTime, and ValueError where the file was begun otherwise."""
        plan = self.plan()
        settings = {"rows": self.rows, "texts": len(self.texts.ids), "size": dataclasses.asdict(self.size)}
        if self.steps is not None:
            settings["steps"] = self.steps
        for key, value in settings.items():
            if plan[key] != value:
                raise ValueError(f"{self.cells.file} was begun with {key} {plan[key]}, not {value}; name another file")
        EXPERIMENTS[name](self, plan["steps"])

    def plan(self) -> Figures:
        """The cell that says how many steps each arm takes, and at which pace they were measured."""

        def measured() -> Figures:
            pace = {}
            for arm in ARMS:
                stage = self.stage(WARM + PACED, 0)
                pace[arm] = train(self.built(arm, stage), self.texts, stage).ms
            time = 60_000 * self.minutes / (self.seeds * sum(pace.values()))
            name = torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU"
            return {
                "steps": self.steps or max(int(time), 1),
                "ms": pace,
                "rows": self.rows,
                "texts": len(self.texts.ids),
                "size": dataclasses.asdict(self.size),
                "device": name,
            }

        return self.cells.run("plan", measured)

    def stage(self, steps: int, seed: int, **changed) -> ModelExperiment:
        """How a cell is trained."""
        return experiment(steps=steps, seed=seed, rows=self.rows, **changed)

    def built(self, arm: str, stage: ModelExperiment) -> MoAIObjective:
        """An arm with random weights."""
        return build(arm, self.size, self.processor, stage, self.device)

    def seconds(self, arm: str, steps: int) -> float:
        """About what a cell with so many steps of an arm takes."""
        return 1.1 * steps * self.plan()["ms"][arm] / 1000 + 5

    def file(self, arm: str, seed: int, steps: int) -> Path:
        """Where an arm that was trained is kept."""
        return self.models / f"{arm.replace(' ', '-')}-seed-{seed}-steps-{steps}.safetensors"

    def learned(self, arm: str, seed: int, steps: int) -> MoAIObjective:
        """An arm behind its last step, from its file, or trained once more."""
        stage = self.stage(steps, seed)
        objective, file = self.built(arm, stage), self.file(arm, seed, steps)
        if file.is_file():
            load_model(objective.model, file)
        else:
            train(objective, self.texts, stage)
            self.keep(objective, file)
        return objective

    def keep(self, objective: MoAIObjective, file: Path) -> None:
        """Writes an arm down."""
        file.parent.mkdir(parents=True, exist_ok=True)
        save_model(objective.model, str(file))


def compare_arms(lab: Laboratory, steps: int) -> None:
    """Each arm with each seed: its loss, and what it loses without an expert."""
    for seed, arm in _each(lab.seeds, ARMS):

        def work(arm: str = arm, seed: int = seed) -> Figures:
            stage = lab.stage(steps, seed)
            trained = train(lab.built(arm, stage), lab.texts, stage)
            if arm == FINE:
                lab.keep(trained.objective, lab.file(arm, seed, steps))
            return _figures(lab, trained, arm, seed) | {"without": _missing(lab, trained, arm)}

        lab.cells.run(f"arms | {arm} | seed {seed}", work, lab.seconds(arm, steps))


def compare_selections(lab: Laboratory, steps: int) -> None:
    """Experts of capacity 1.0 that take any tokens or those in front."""
    for seed, arm in _each(lab.seeds, BOUNDED):
        for by in ("random", "position"):

            def work(arm: str = arm, seed: int = seed, by: str = by) -> Figures:
                stage = lab.stage(steps, seed, capacity=CAPACITY, capacity_by=by)
                trained = train(lab.built(arm, stage), lab.texts, stage)
                return _figures(lab, trained, arm, seed) | {"by": by}

            lab.cells.run(f"capacity | {arm} | {by} | seed {seed}", work, lab.seconds(arm, steps))


def compare_pruning(lab: Laboratory, steps: int) -> None:
    """The fine-grained arm with fewer experts, at once and after a little tuning."""
    for seed, by in _each(lab.seeds, WAYS):
        for kept in KEPT:

            def work(seed: int = seed, by: str = by, kept: int = kept) -> Figures:
                objective = lab.learned(FINE, seed, steps)
                told = {"arm": FINE, "seed": seed, "by": by, "kept": kept, "before": held_out(objective, lab.texts)}
                batches = [lab.texts.batch(rows) for rows in lab.texts.order(MEASURED, lab.rows, seed)]
                with autocast(lab.device):
                    importance = Measured(objective.model, lab.processor).importance(by, batches, seed)
                stage = lab.stage(lab.tuning, seed, learning_rate=lab.stage(1, 0).learning_rate / 5)
                pruned = objective_of(prune(objective.model, kept, importance), lab.processor, stage)
                told["at once"] = held_out(pruned, lab.texts)
                return told | {"tuned": held_out(train(pruned, lab.texts, stage).objective, lab.texts)}

            trained = lab.file(FINE, seed, steps).is_file()
            seconds = lab.seconds(FINE, lab.tuning + (0 if trained else steps))
            lab.cells.run(f"prune | {by} | {kept} | seed {seed}", work, seconds)


EXPERIMENTS: dict[str, Callable[[Laboratory, int], None]] = {
    "arms": compare_arms,
    "capacity": compare_selections,
    "prune": compare_pruning,
}


def _each(seeds: int, names) -> Iterator[tuple[int, str]]:
    # Seed by seed: what is there when the time is up can be compared.
    return ((seed, name) for seed in range(seeds) for name in names)


def _figures(lab: Laboratory, trained: Trained, arm: str, seed: int) -> Figures:
    loss = held_out(trained.objective, lab.texts)
    parameters = sum(one.numel() for one in trained.model.language_model.parameters())
    return {"arm": arm, "seed": seed, "loss": loss, "ms": trained.ms, "parameters": parameters} | trained.told


def _missing(lab: Laboratory, trained: Trained, arm: str) -> dict[str, float]:
    counts = ARMS[arm]
    losses = {}
    for what in () if counts is None else ("routed", "shared", "swapped") if counts[0] else ("routed",):
        with without(trained.model, what):
            losses[what] = held_out(trained.objective, lab.texts)
    return losses
