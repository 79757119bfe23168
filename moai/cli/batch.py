"""`moai batch`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from moai.cli.options import (
    TIME_LIMIT,
    Device,
    Experts,
    ExpertsFrom,
    Memory,
    Model,
    Quantize,
    Swaps,
    TimeLimit,
    TrustPickles,
    looking,
)
from moai.terminal import quiet_libraries, typed


class Format(StrEnum):
    """Of the answers."""

    jsonl = "jsonl"
    parquet = "parquet"


def batch(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="folder of pictures, .jsonl or .parquet", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="where the answers go; the same command goes on there", show_default=False),
    ],
    question: Annotated[
        str | None, typer.Option(metavar="TEXT", help="what is asked where a row has no question")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="where relative pictures lie (default: beside the file)")
    ] = None,
    format: Annotated[Format, typer.Option(help="of the answers")] = Format.jsonl,
    gates: Annotated[bool, typer.Option("--gates", help="keep whom the mixers listened to, too")] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="processes that look at pictures (default: one a core)")
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Ray cluster to run on, such as auto (default: this machine)")
    ] = None,
    batch_size: Annotated[
        int, typer.Option(metavar="N", min=1, max=256, help="questions that the model answers at once")
    ] = 16,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, max=4096, help="longest answer")] = 96,
    model: Model = None,
    experts: Experts = None,
    experts_from: ExpertsFrom = None,
    expert: Swaps = None,
    time_limit: TimeLimit = TIME_LIMIT,
    trust_pickles: TrustPickles = False,
    device: Device = None,
    quantize: Quantize = None,
    memory: Memory = None,
):
    """Answer questions about many pictures, on this machine or a cluster.

    Rows have "picture" (a path, a data: URL, in parquet also bytes), "question" and "id". A row that cannot be answered
    has its "error". What was killed goes on with the same command.
    """
    quiet_libraries()
    from moai.serving.batch.job import answer_all
    from moai.serving.batch.stages import Asking
    from perception.registry import expert_names

    asking = Asking(
        model=model,
        experts=None if experts is None else expert_names(experts),
        experts_from=experts_from,
        looking=looking(expert, time_limit, trust_pickles),
        quantize=quantize,
        memory=memory,
        device=device,
        max_new_tokens=max_new_tokens,
        gates=gates,
        batch=batch_size,
    )
    asked = None if question is None else typed(question)
    from moai.cli.progress import counted

    with counted("pictures") as told:
        summary = answer_all(
            source,
            out,
            asking,
            question=asked,
            images=images,
            form=format.value,
            workers=workers,
            address=address,
            told=told,
        )
    rate = f", {summary.new / summary.seconds:.1f} pictures/s" if summary.new else ""
    print(f"{summary.rows:,} rows in {summary.answers} ({summary.new:,} answered now in {summary.seconds:.0f} s{rate})")
