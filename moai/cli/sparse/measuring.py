"""What `moai prune` and `moai merge` measure, print and write."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moai.terminal import typed

if TYPE_CHECKING:
    from moai.training.usage import Batch, Cost

Data = Annotated[
    str, typer.Option(metavar="drawn|FILE", help="drawn scenes, or a JSON file of conversations in LLaVA's form")
]
Pictures = Annotated[
    int, typer.Option(metavar="N", help="pictures that tell what experts are used for, and as many others what is lost")
]
Cache = Annotated[
    Path | None, typer.Option(metavar="DIR", help="with a FILE: what `moai perceive --all` keeps of its pictures")
]
Silent = Annotated[bool, typer.Option("--silent", help="ask without the words of external experts")]


def batches(model, processor, data: str, pictures: int, cache: Path | None, silent: bool) -> "tuple[list[Batch], ...]":
    """What experts are chosen by, and what the loss is measured on."""
    from moai.training.usage import batches_of, source_of

    if pictures < 1:
        raise ValueError(f"pictures must be at least 1, got {pictures}")
    if data == "drawn" and cache is not None:
        raise ValueError("drawn scenes need no cache; leave out --cache, or name a file with --data")
    source = source_of(data, None if cache is None else str(cache))
    found = batches_of(processor, model.config.experts_from, source, 2 * pictures, silent)
    return found[:pictures], found[pictures:]


def write(model, processor, target: Path, costs: "list[Cost]") -> None:
    """The model's folder, with a card that has the table of what it cost, which is printed too."""
    from moai.training.usage import table

    model.save_pretrained(target)
    processor.save_pretrained(target)
    told = table(costs)
    command = shlex.join(["moai", *map(typed, sys.argv[1:])])
    (target / "README.md").write_text(f"# {target.name}\n\n`{command}`\n\n{told}\n")
    print(told)
    print(f"wrote {target}")
