"""Training on several GPUs: rows a second beside one GPU's, and going on with one after a kill.

python3 -m moai.profiling.scaling                        # step 2 of the paper at the size of MoAI-7B, 1 and 2 GPUs
python3 -m moai.profiling.scaling --processes 1 8 --rows 8 --shardings fsdp
python3 -m moai.profiling.scaling --size sparse --rows 512 --questions 16 --shardings ddp fsdp ddp+experts fsdp+experts

The model has random weights, which each process makes on its device; it reads drawn scenes. Every GPU has the same
number of rows a step, so that a figure of n GPUs would at best be n times that of one.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from transformers import TrainerCallback

from moai.models.processing import MoAIProcessor
from moai.profiling.model import GIB, SIZES, random_model
from moai.training.experiment import SHARDINGS, ModelExperiment, load_experiment
from moai.training.run import Start, fresh_model, ready
from moai.training.sharding import joined, place

WARM = 2
"""Steps that do not count."""
STEPS = {"sparse": "sparse"}
"""Experiments of sizes that train otherwise than by step 2 of the paper."""
SPREAD = "+experts"
"""Behind a sharding: the routed experts are shared out over all GPUs."""
FIGURES = "FIGURES "
"""Begins the line with the figures of a run."""


class Pace(TrainerCallback):
    """Says how fast steps are once there were `steps` of them, how much of the time went into waiting for data, and how
    much memory that took."""

    def __init__(self, steps: int, rows: int) -> None:
        self.steps, self.rows = steps, rows
        self.taken, self.waited = 0.0, 0.0
        self.begun, self.ended = 0.0, 0.0
        self.seen = 0

    def on_step_begin(self, args, state, control, **kwargs):
        self.begun = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        if args.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self.seen >= WARM:
            self.taken += now - self.ended
            self.waited += self.begun - self.ended
        self.seen += 1
        self.ended = now
        if self.seen == WARM + self.steps and state.is_world_process_zero:
            memory = torch.cuda.max_memory_allocated() / GIB if args.device.type == "cuda" else None
            figures = {
                "rows/s": self.steps * self.rows / self.taken,
                "waiting": self.waited / self.taken,
                "GiB": memory,
                "step": state.global_step,
            }
            print(FIGURES + json.dumps(figures), flush=True)


def start(size: str, device: torch.device) -> Start:
    """A random model of a size, which speaks the drawn world's words."""
    tokenizer = fresh_model(0)[1].tokenizer
    # What trains is held in fp32, and here that is all.
    dtype = torch.bfloat16 if device.type == "cuda" and size not in STEPS else torch.float32
    words = {} if size == "7b" else {"vocab_size": len(tokenizer)}
    model = random_model(size, device, dtype, **words)
    model.config.image_token_id = tokenizer.convert_tokens_to_ids("<image>")
    side, tokens = model.config.vision_config.image_size, model.config.num_image_tokens
    return model, MoAIProcessor(tokenizer, side, tokens, legacy_color_map=model.config.legacy_color_map)


def experiment_of(options: argparse.Namespace, count: int) -> ModelExperiment:
    """What is trained, by `count` processes."""
    step = load_experiment(STEPS.get(options.size, "paper_step2"))
    assert isinstance(step, ModelExperiment)
    sharding = options.shardings[0]
    return dataclasses.replace(
        step,
        output=options.folder,
        data=({"name": "drawn"},),
        rows=options.rows * count,
        questions=options.questions,
        accumulate=1,
        steps=10_000,
        minutes=None,
        sharding=sharding.removesuffix(SPREAD),
        experts_parallel=count if sharding.endswith(SPREAD) else 1,
        turn_tokens=128,
        aux_tokens=512,
        workers=options.workers,
        log_every=2,
        save_every=options.save_every,
        show_every=0,
        evaluate=0,
        resume=options.resume,
    )


def train(options: argparse.Namespace) -> None:
    """One of the processes; it goes on until it is killed, or has said its figures where nothing is to be saved."""
    experiment = experiment_of(options, place()[1])
    training = ready(experiment, "step 2", start(options.size, joined()))
    training.trainer.add_callback(Pace(options.steps, experiment.rows))
    training.run()


def run(options: argparse.Namespace, count: int, sharding: str, **changed) -> dict:
    """Figures of a run of `count` processes, killed as soon as they are there and, with `save_every`, a checkpoint is.

    Raises RuntimeError when the run ends before."""
    given = vars(options) | changed
    argv = ["--child", "--shardings", sharding]
    for name in ("size", "rows", "questions", "steps", "workers", "folder", "save_every"):
        argv += [f"--{name.replace('_', '-')}", str(given[name])]
    argv += ["--resume"] if given.get("resume") else []
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "--master-port", "29517"]
    here = "moai.profiling.scaling"
    # Alone it is started without torchrun, as people do.
    command = [*launch, "-m", here, *argv] if count > 1 else [sys.executable, "-m", here, *argv]
    began = time.monotonic()
    complaints = Path(given["folder"], "stderr.txt")
    with complaints.open("w") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)
    figures = None
    assert process.stdout is not None
    try:
        for line in process.stdout:
            print(f"    {line}", end="", flush=True)
            if line.startswith(FIGURES):
                figures = json.loads(line.removeprefix(FIGURES))
                break
        while figures is not None and process.poll() is None and given["save_every"] < 10_000:
            if list(Path(given["folder"]).glob("checkpoint-*/trainer_state.json")):
                break
            time.sleep(0.2)
    finally:
        # torchrun's processes are in groups of their own.
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        process.wait()
    if figures is None:
        print(complaints.read_text()[-4000:], file=sys.stderr)
        raise RuntimeError(f"{count} processes with {sharding} ended before {options.steps} steps")
    return figures | {"seconds in all": time.monotonic() - began}


def table(rows: dict[str, dict], alone: str) -> str:
    """Figures as Markdown; `alone` names the row that others are compared with."""
    lines = ["| | rows/s | times one | waiting for data | peak GiB | s in all |", "| --- " * 6 + "|"]
    for name, row in rows.items():
        memory = "" if row["GiB"] is None else f"{row['GiB']:.1f}"
        pace = f"{row['rows/s']:.2f} | {row['rows/s'] / rows[alone]['rows/s']:.2f}"
        lines.append(f"| {name} | {pace} | {row['waiting']:.1%} | {memory} | {row['seconds in all']:.0f} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m moai.profiling.scaling", description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="7b", help="of the model (default: %(default)s)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="GPUs (default: 1 2)")
    ways = [f"{sharding}{spread}" for sharding in SHARDINGS for spread in ("", SPREAD)]
    parser.add_argument(
        "--shardings", nargs="+", choices=ways, default=["ddp", "fsdp"], help="ways of several (default: ddp fsdp)"
    )
    parser.add_argument("--rows", type=int, default=16, help="of each GPU a step (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=4, help="rows that share a scene (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="that are timed (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=6, help="of each process, making data (default: %(default)s)")
    parser.add_argument("--folder", help="for checkpoints (default: a temporary one)")
    parser.add_argument("--save-every", type=int, default=10_000, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        train(options)
        return 0
    rows: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        options.folder = options.folder or folder
        Path(options.folder).mkdir(parents=True, exist_ok=True)
        for count in options.processes:
            for sharding in options.shardings if count > 1 else ["ddp"]:
                name = f"{count} GPUs, {sharding}" if count > 1 else "1 GPU"
                # The last of them is killed behind a checkpoint, and one GPU goes on.
                last = count == max(options.processes) and sharding == options.shardings[-1] and count > 1
                print(f"== {name}", flush=True)
                rows[name] = run(options, count, sharding, save_every=WARM + options.steps if last else 10_000)
        if max(options.processes) > 1:
            print("== killed; 1 GPU goes on", flush=True)
            again = run(options, 1, options.shardings[-1], resume=True, steps=1)
            print(f"went on from its checkpoint: step {again['step']} was reached", flush=True)
            rows["1 GPU, after the kill"] = again
    print(table(rows, next(iter(rows))), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
