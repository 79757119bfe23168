"""Sparse decoders beside dense ones on text alone, with several seeds.

python3 -m moai.profiling.sparse runs/sparse.jsonl                      # which arm learns best, ten minutes of one H100
python3 -m moai.profiling.sparse runs/sparse.jsonl capacity prune       # whom a full expert takes; fewer experts

Each cell is a line of the file, in which the same command goes on: with --time-limit short calls add up.
"""

import argparse
import sys
from pathlib import Path

import torch

from moai.loading import device_named
from moai.profiling.cells import Cells, OutOfTime
from moai.profiling.sparse.arms import Size
from moai.profiling.sparse.experiments import EXPERIMENTS, Laboratory
from moai.profiling.sparse.tables import tables
from moai.profiling.sparse.texts import Texts
from moai.training.run import fresh_model


def parser() -> argparse.ArgumentParser:
    """The options."""
    top = argparse.ArgumentParser(prog="python -m moai.profiling.sparse", description=__doc__.split("\n")[0])
    top.add_argument("file", type=Path, help="of JSON lines, one a cell; what is there is not done again")
    top.add_argument("experiments", nargs="*", metavar="|".join(EXPERIMENTS), help="in this order (default: arms)")
    top.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    top.add_argument(
        "--minutes", type=float, default=10, help="for all arms and seeds: decides how many steps each takes"
    )
    top.add_argument("--steps", type=int, help="of each arm, in place of --minutes")
    top.add_argument("--renormalise", action="store_true", help="let the weights of a token's routed experts sum to 1")
    top.add_argument("--time-limit", type=float, metavar="MIN", help="begin nothing that would not end in time")
    top.add_argument("--rows", type=int, default=128, help="texts a step (default: %(default)s)")
    top.add_argument("--texts", type=int, default=65_536, help="that there are (default: %(default)s)")
    top.add_argument(
        "--held-out", type=int, default=2_048, help="of these, to measure the loss on (default: %(default)s)"
    )
    top.add_argument("--workers", type=int, default=8, help="processes that make texts (default: %(default)s)")
    top.add_argument("--models", type=Path, help="folder for texts and trained arms (default: beside the file)")
    top.add_argument("--device", help="cuda or cpu (default: what there is)")
    return top


def main(argv: list[str] | None = None) -> int:
    """Command line; 2 after one sentence on standard error for what cannot be."""
    options = parser().parse_intermixed_args(argv)
    try:
        print(run(options))
    except (ValueError, OSError) as error:
        print(f"moai.profiling.sparse: {error}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace, **changed) -> str:
    """The tables, once all cells are there or the time is up; `changed` are fields of `Laboratory`.

    Raises ValueError with one sentence for settings that cannot be.
    """
    for unknown in set(options.experiments) - set(EXPERIMENTS):
        raise ValueError(f"unknown experiment {unknown!r}; allowed are {', '.join(EXPERIMENTS)}")
    for name in ("seeds", "minutes", "steps", "rows", "held_out"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name.replace('_', '-')} is {value:g}, but must be above 0")
    cells = Cells(options.file, options.time_limit)
    device: torch.device = device_named(options.device)
    models = options.models or options.file.with_suffix("")
    processor = fresh_model(0)[1]
    texts = Texts(processor, models / "texts.safetensors", options.texts, options.held_out, device, options.workers)
    fields = {name: getattr(options, name) for name in ("seeds", "rows", "minutes", "steps")}
    fields["size"] = Size(renormalise=options.renormalise)
    lab = Laboratory(cells, texts, processor, device, models, **(fields | changed))
    try:
        for name in options.experiments or ["arms"]:
            lab.run(name)
    except OutOfTime as told:
        print(told, flush=True)
    return tables(cells)


if __name__ == "__main__":
    raise SystemExit(main())
