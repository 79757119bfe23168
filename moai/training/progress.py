"""How far training has come: by steps and by the clock, as a learning rate, as lines and as a bar on a terminal."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from transformers import TrainerCallback

from moai.training.stages import Stage


class Budget:
    """How far training has come, in 0..1: by steps or, with `minutes`, by whichever of the two is further.

    The clock ends `minutes` after this is made, start-up and compilation included, but progress begins with the first
    step, so that the warm-up is not spent on compiling. Several processes go by the clock of the first: `shared` makes
    one number the same on all of them.
    """

    def __init__(self, steps: int, minutes: float | None, shared: Callable[[float], float] | None = None):
        self.steps, self.shared = steps, shared if minutes is not None else None
        self._now: float | None = None
        self.tick()
        self.end = None if minutes is None else self.now() + minutes * 60
        self.started: float | None = None

    def tick(self) -> None:
        """Once a step: the time that all processes then take it to be."""
        if self.shared is not None:
            self._now = self.shared(time.monotonic())

    def now(self) -> float:
        """Seconds on the clock."""
        return time.monotonic() if self._now is None else self._now

    def progress(self, step: int) -> float:
        """Share of the budget that is used after `step` steps."""
        share = step / self.steps
        if self.end is not None and self.started is not None:
            share = max(share, (self.now() - self.started) / max(self.end - self.started, 1e-6))
        return min(share, 1.0)


def learning_rate_factor(progress: float, stage: Stage) -> float:
    """Linear warm-up, then a cosine down to `final_share` (Loshchilov and Hutter 2017); `progress` in 0..1."""
    if progress < stage.warmup:
        return (progress + 1e-3) / (stage.warmup + 1e-3)
    done = (progress - stage.warmup) / (1 - stage.warmup)
    return stage.final_share + (1 - stage.final_share) * 0.5 * (1 + math.cos(math.pi * done))


class Watch(TrainerCallback):
    """Starts the clock at the first step, stops at its end, logs samples/s and the share of time spent waiting for
    data, tells each log in one line, and has sample answers shown, by every process: each has a part of the model.

    `rows`: those of a step, of all processes together. On a terminal a bar stands below the lines.
    """

    def __init__(self, budget: Budget, rows: int, show: Callable[[int], None] | None, every: int):
        self.budget, self.rows, self.show, self.every = budget, rows, show, every
        self.begun = 0
        self.marked = (0, 0.0)
        self.ended: float | None = None
        self.waited = 0.0
        self.console = Console(highlight=False, soft_wrap=True)
        self.bar: Progress | None = None

    def on_step_begin(self, args, state, control, **kwargs):
        self.budget.tick()
        if self.ended is not None:
            self.waited += time.monotonic() - self.ended

    def on_step_end(self, args, state, control, **kwargs):
        if self.budget.started is None:
            # Compilation happens in the first step and is not counted.
            self.budget.started = self.budget.now()
            self.marked = (state.global_step, time.monotonic())
            self.begun = state.global_step
        if self.budget.progress(state.global_step) >= 1.0:
            control.should_training_stop = True
            control.should_save = True
        if self.show is not None and state.global_step % self.every == 0:
            self.show(state.global_step)
        if state.is_world_process_zero and self.console.is_terminal:
            self._draw(state.global_step)
        self.ended = time.monotonic()

    def on_log(self, args, state, control, logs=None, **kwargs):
        now = time.monotonic()
        if logs is None or "loss" not in logs or self.budget.started is None:
            return
        steps = state.global_step - self.marked[0]
        pace = steps * self.rows / max(now - self.marked[1], 1e-6)
        logs["samples_per_second"] = round(pace) if pace >= 10 else round(pace, 2)
        logs["seconds"] = round(self.budget.now() - self.budget.started)
        # What the processes that make data leave the device waiting for.
        logs["waiting"] = round(self.waited / max(now - self.marked[1], 1e-6), 3)
        self.waited = 0.0
        self.marked = (state.global_step, now)
        if state.is_world_process_zero:
            self._say(told(state.global_step, logs, self.left(state.global_step)))

    def on_train_end(self, args, state, control, **kwargs):
        if self.bar is not None:
            self.bar.stop()

    def left(self, step: int) -> float | None:
        """Seconds until the end at the pace so far; None as long as there is none."""
        if self.budget.started is None or step <= self.begun:
            return None
        done, before = self.budget.progress(step), self.begun / self.budget.steps
        elapsed = self.budget.now() - self.budget.started
        return elapsed * (1 - done) / max(done - before, 1e-9)

    def _say(self, line: str) -> None:
        if self.bar is None:
            print(line, flush=True)
        else:
            self.bar.console.print(line)

    def _draw(self, step: int) -> None:
        if self.bar is None:
            columns = (TextColumn("training"), BarColumn(), TextColumn("{task.percentage:.0f} % {task.fields[left]}"))
            self.bar = Progress(*columns, console=self.console)
            self.bar.add_task("", total=1.0, left="")
            self.bar.start()
        left = self.left(step)
        said = "" if left is None else f"{clock(left)} left"
        self.bar.update(self.bar.task_ids[0], completed=self.budget.progress(step), left=said)


COLLAPSED = 0.5
"""The share of a sparse layer's choices from which on one expert does the work of all."""


def told(step: int, logs: Mapping[str, Any], left: float | None) -> str:
    """One line about a log: step, losses, pace, share of waiting and time left in seconds."""
    known = ("loss", "grad_norm", "learning_rate", "epoch", "samples_per_second", "seconds", "waiting", "step")
    parts = [f"{name} {value:.4g}" for name, value in logs.items() if name not in known and isinstance(value, float)]
    losses = f"loss {float(logs['loss']):.4f}" + (f" ({', '.join(parts)})" if parts else "")
    if logs.get("busiest", 0.0) > COLLAPSED:
        losses += "; one expert gets more than half of a layer's tokens, raise balance_weight"
    if left is None:  # the first step is no measure
        return f"step {step}: {losses}"
    pace = f"{logs['samples_per_second']} rows/s, {logs['waiting']:.0%} waiting for data"
    return f"step {step}: {losses}, {pace}, {clock(left)} left"


def clock(seconds: float) -> str:
    """A time as people say it: 1:05:09, 5:09 or 0:09."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
