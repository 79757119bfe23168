"""`moai convert`."""

from pathlib import Path
from typing import Annotated

import typer

from moai.terminal import quiet_libraries


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="folder with *.safetensors or *.bin shards and their tokenizer")
    ],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="folder to write")],
    sizes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON file with the checkpoint's sizes (default: MoAI-7B)")
    ] = None,
):
    """Turn a checkpoint of the paper's authors into this layout."""
    import json

    quiet_libraries()
    from moai.models.released.checkpoint import convert_folder

    given = None
    if sizes is not None:
        try:
            given = json.loads(sizes.read_text())
        except (OSError, ValueError) as error:
            raise ValueError(f"the sizes file {sizes} cannot be read as JSON") from error
    convert_folder(source, target, given)
    print(f"wrote {target}")
