"""Options that several commands share."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from moai.presets import MEMORY_MEANS, TIME_LIMIT_MEANS, TRUST_PICKLES_MEANS
from perception.guard.watch import TIME_LIMIT as TIME_LIMIT
from weights import DEFAULT_MODEL, embedded_models

Picture = Annotated[str, typer.Argument(metavar="PICTURE", help="a picture file", show_default=False)]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FOLDER|ID",
        help=f"{', '.join(embedded_models())}, or a folder or hub id: a MoAI model, an adapter, the released MoAI-7B "
        f"(default: {DEFAULT_MODEL.name})",
    ),
]
Experts = Annotated[
    str | None, typer.Option(metavar="NAMES", help="experts to listen to, such as seg,det,sgg,ocr (default: all)")
]
ExpertsFrom = Annotated[
    str | None,
    typer.Option(metavar="PRESET|FILE", help="preset or YAML file of other experts (default: the model's own)"),
]
Swaps = Annotated[
    list[str] | None,
    typer.Option(
        "--expert",
        metavar="KIND=BACKEND:WEIGHTS",
        help="another expert of one kind, such as detection=hf_detection:PekingU/rtdetr_v2_r18vd (may be repeated)",
    ),
]
TimeLimit = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help=TIME_LIMIT_MEANS)]
TrustPickles = Annotated[bool, typer.Option("--trust-pickles", help=TRUST_PICKLES_MEANS)]
Device = Annotated[str | None, typer.Option(metavar="NAME", help="cpu, cuda, ... (default: cuda where there is one)")]
Quantize = Annotated[
    str | None, typer.Option(metavar="TIER", help="bf16, int8 or int4: a language model that needs less memory")
]
Memory = Annotated[str | None, typer.Option(metavar="AMOUNT", help=MEMORY_MEANS)]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="another name that it answers to, such as a proxy's; * for any"),
]
Json = Annotated[bool, typer.Option("--json", help="print everything as JSON")]
JsonFile = Annotated[Path | None, typer.Option(metavar="FILE", help="JSON file to write")]


def looking(expert: Iterable[str] | None, time_limit: float, trust_pickles: bool) -> dict[str, Any]:
    """What `Swaps`, `TimeLimit` and `TrustPickles` say, as `perception.Perception` takes it; checked."""
    from perception.presets import swaps_of

    return {**swaps_of(expert or ()), "time_limit": time_limit, "trust_pickles": trust_pickles}
