"""`moai export`."""

from pathlib import Path
from typing import Annotated

import typer

from moai.cli.build import DTYPES
from moai.terminal import quiet_libraries


def export(
    trained: Annotated[Path, typer.Argument(metavar="TRAINED", help="folder of a stage's result")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where the model, or its adapters, go")],
    scores: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON that `moai eval answers --out` wrote, for the card")
    ] = None,
    adapters: Annotated[
        bool, typer.Option("--adapters", help="only what training changed, with the name and hash of its base")
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(metavar="FOLDER|ID", help="with --adapters: what they go on (default: where training started)"),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="|".join(DTYPES), help="with --adapters: of the file (default: exact)"),
    ] = None,
):
    """Make a small folder of a trained model: bf16, small shards, and a card that says how it came about; or of its
    adapters alone."""
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; allowed are {', '.join(DTYPES)}")
    if (base or dtype) and not adapters:
        raise ValueError("--base and --dtype are for adapters; give --adapters too")
    quiet_libraries()
    if adapters:
        import torch

        from moai.training.adapters import export_adapters

        if scores is not None:
            raise ValueError("scores are for the card of a whole model; leave out --scores or --adapters")
        told = export_adapters(trained, folder, base, getattr(torch, dtype) if dtype else None)
        print(f"wrote {folder}, which goes on {told.name} (sha256 {told.sha256[:12]})")
        return
    from moai.training.results.export import export as write

    print(write(trained, folder, scores))
