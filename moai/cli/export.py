"""`moai export`."""

from pathlib import Path
from typing import Annotated

import typer

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
):
    """Make a small folder of a trained model: bf16, small shards, and a card that says how it came about; or of its
    adapters alone."""
    quiet_libraries()
    if adapters:
        from moai.training.adapters import export_adapters

        if scores is not None:
            raise ValueError("scores are for the card of a whole model; leave out --scores or --adapters")
        told = export_adapters(trained, folder, base)
        print(f"wrote {folder}, which goes on {told.name} (sha256 {told.sha256[:12]})")
        return
    if base is not None:
        raise ValueError("--base is for adapters; give --adapters too")
    from moai.training.export import export as write

    print(write(trained, folder, scores))
