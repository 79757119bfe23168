"""`moai export`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    trained: Annotated[Path, typer.Argument(metavar="TRAINED", help="folder of a stage's result")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where the embedded model goes")],
    scores: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON that `moai eval answers --out` wrote, for the card")
    ] = None,
):
    """Make a small folder of a trained model: bf16, small shards, and a card that says how it came about."""
    from moai.training.export import export as write

    print(write(trained, folder, scores))
