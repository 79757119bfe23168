"""`moai serve`."""

from typing import Annotated

import typer

from moai.cli.options import ExpertsFrom, Model, Quantize, Swaps
from moai.web import server as page
from moai.web.server import HOST, PORT
from perception.presets import swaps_of


def serve(
    model: Model = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="address to listen at")] = HOST,
    port: Annotated[int, typer.Option(metavar="N", help="port to listen at")] = PORT,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="another name that it answers to, such as a proxy's; * for any"),
    ] = None,
    quantize: Quantize = None,
    experts_from: ExpertsFrom = None,
    expert: Swaps = None,
):
    """Serve the page: ask about a picture, and see what the experts saw."""
    page.serve(model, host, port, quantize, experts_from, swaps_of(expert or ()), allow_host or ())
