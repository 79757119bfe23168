"""How the embedded language-and-vision model is made, as one command.

python -m moai.training.recipe runs/nano --export runs/exported -- --workers 24
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from moai.training import command
from moai.training.export import export
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


RECIPE = (
    # Compiled layer by layer in half a minute.
    Step("language", "language", 2.5, ("--compile", "layers")),
    # As CUDA graphs: nearly three times as fast after two minutes of compiling.
    Step("bridge", "bridge", 21, ("--compile", "graphs")),
    # So short that compiling does not pay; on two CPU cores it takes 23 minutes.
    Step("polish", "polish"),
)


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
    names = [step.name for step in RECIPE]
    parser = argparse.ArgumentParser(
        prog="python -m moai.training.recipe",
        description="Train the embedded model from nothing, or from --init on. Options after -- go to each train.py.",
    )
    parser.add_argument("folder", type=Path, help="each step's result goes into a folder of its own below this one")
    parser.add_argument("--first", choices=names, default=names[0], help="step to begin with (default: %(default)s)")
    parser.add_argument("--last", choices=names, default=names[-1], help="step to end with (default: %(default)s)")
    parser.add_argument("--init", type=Path, help="model to begin with, unless --first is language")
    parser.add_argument(
        "--export", "--ship", type=Path, help="folder that gets each step's result in the form that is shipped"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of each step's minutes (default: %(default)s)")
    argv, common = _divided(argv)
    options = parser.parse_args(argv)
    first, last = names.index(options.first), names.index(options.last)
    init = options.init
    if first and init is None:
        init = options.folder / names[first - 1]
    if first > last:
        parser.error(f"{options.first} comes after {options.last}; steps are {', '.join(names)}")
    if init is not None and not init.is_dir():
        parser.error(f"there is no model in {init} to begin with; name one with --init")
    for number in range(first, last + 1):
        step = RECIPE[number]
        if not (options.folder / step.name / RECORD).is_file():
            print(f"== {step.name}", flush=True)
            torch._dynamo.reset()
            if code := command.main(arguments_of(step, number, options.folder, init, options.share, common)):
                return code
        init = options.folder / step.name
        if options.export is not None:
            export(init, options.export)
    return 0


def _divided(argv: list[str] | None) -> tuple[list[str] | None, list[str]]:
    given = sys.argv[1:] if argv is None else argv
    if "--" not in given:
        return given, []
    place = given.index("--")
    return given[:place], given[place + 1 :]


if __name__ == "__main__":
    raise SystemExit(main())
