"""How fast MoAI is and how much memory it takes, here.

moai speed --size 7b --out runs/speed.json
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path

import torch

from moai.profiling.model import (
    SIZES,
    Setup,
    measure_agreement,
    measure_generation,
    measure_plain,
    measure_profile,
    measure_questions,
    measure_tiers,
    measure_variants,
)
from moai.profiling.perception import measure_answers, measure_perception
from moai.profiling.strategies import measure_strategies
from moai.profiling.training import measure_training
from moai.terminal import Parser, guarded
from perception.files.whole import write_json

PARTS = {
    "generation": measure_generation,
    "questions": measure_questions,
    "agreement": measure_agreement,
    "strategies": measure_strategies,
    "plain": measure_plain,
    "variants": measure_variants,
    "profile": measure_profile,
    "training": measure_training,
    "tiers": measure_tiers,
    "perception": measure_perception,
    "answers": measure_answers,
}
USUAL = {
    "nano": ("generation", "questions", "agreement", "strategies", "training", "perception", "answers"),
    "7b": ("generation", "questions", "agreement", "strategies", "plain", "training", "tiers"),
    "sparse": ("generation", "questions", "agreement", "plain"),
    "sparse_16b": ("generation", "questions", "agreement", "plain"),
}
"""What runs without --only."""
PACKAGES = ("torch", "transformers", "triton", "torchao", "timm", "ultralytics", "rapidocr", "onnxruntime")


def machine(device: torch.device) -> dict:
    """The machine and the versions that figures belong to."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    record = {"processor": platform.processor() or platform.machine(), "cores": len(os.sched_getaffinity(0))}
    record |= {"threads": torch.get_num_threads(), "python": platform.python_version(), "versions": versions}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        record |= {"device": properties.name, "device_gib": round(properties.total_memory / 2**30, 1)}
    return record


def parser() -> argparse.ArgumentParser:
    """Every option."""
    top = Parser(prog="moai speed", description="Measure speed and memory on this machine.")
    top.add_argument("--size", choices=SIZES, default="nano", help="geometry, random weights (default: %(default)s)")
    top.add_argument("--device", help="cpu, cuda, ... (default: cuda where there is one)")
    top.add_argument("--only", metavar="PARTS", help=f"some of {','.join(PARTS)} (default: depends on the size)")
    top.add_argument("--batches", default="1,8", help="batch sizes (default: %(default)s)")
    top.add_argument("--repeats", type=int, default=5, help="runs behind each median (default: %(default)s)")
    top.add_argument("--minutes", type=float, default=8, help="begin nothing new after (default: %(default)s)")
    top.add_argument("--out", type=Path, help="write everything as JSON")
    return top


def chosen_parts(only: str | None, size: str) -> list[str]:
    """The parts to run, in the order of `PARTS`; raises ValueError for an unknown one."""
    asked = USUAL[size] if only is None else [name.strip() for name in only.split(",")]
    unknown = [name for name in asked if name not in PARTS]
    if unknown:
        raise ValueError(f"unknown part {unknown[0]!r}; allowed are {', '.join(PARTS)}")
    return [name for name in PARTS if name in asked]


def run(arguments: argparse.Namespace) -> dict:
    """Measures, prints as it goes, and returns what --out writes."""
    name = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    started = time.monotonic()
    setup = Setup(
        arguments.size,
        torch.device(name),
        tuple(int(size) for size in arguments.batches.split(",")),
        arguments.repeats,
        started + 60 * arguments.minutes,
    )
    left_out, failed = [], {}
    for part in chosen_parts(arguments.only, arguments.size):
        if setup.late:
            left_out.append(part)
            continue
        try:
            PARTS[part](setup)
        except Exception as error:
            # The other parts are still worth having.
            failed[part] = f"{type(error).__name__}: {error}"
            print(f"{part} failed: {failed[part]}", flush=True)
    if left_out:
        print(f"no time was left for {', '.join(left_out)}", flush=True)
    return {
        "size": arguments.size,
        "machine": machine(setup.device),
        "seconds": round(time.monotonic() - started, 1),
        "figures": setup.rows,
        "left_out": left_out,
        "failed": failed,
    }


def main(argv: list[str] | None = None) -> None:
    """Command line; raises ValueError with one sentence for what it does not know."""
    arguments = parser().parse_args(argv)
    chosen_parts(arguments.only, arguments.size)
    record = run(arguments)
    print(json.dumps(record["machine"]))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.out, record)


if __name__ == "__main__":
    raise SystemExit(guarded(main, "moai speed"))
