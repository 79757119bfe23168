"""`moai serve`, and `moai page`, which is the same as `python app.py`."""

from typing import Annotated

import typer

from moai.cli.options import (
    TIME_LIMIT,
    AllowHost,
    ExpertsFrom,
    Memory,
    Model,
    Quantize,
    Swaps,
    TimeLimit,
    TrustPickles,
    looking,
)
from moai.serving.settings import HOST, PORT, Settings
from moai.terminal import quiet_imports

USUAL = Settings()


def serve(
    model: Model = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="address to listen at")] = HOST,
    port: Annotated[int, typer.Option(metavar="N", help="port to listen at")] = PORT,
    allow_host: AllowHost = None,
    quantize: Quantize = None,
    memory: Memory = None,
    experts_from: ExpertsFrom = None,
    expert: Swaps = None,
    time_limit: TimeLimit = TIME_LIMIT,
    trust_pickles: TrustPickles = False,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            envvar="MOAI_KEYS",
            help="a key that requests must bring as Authorization: Bearer KEY, and people as password of the page "
            "(may be repeated; in the environment separated by blanks)",
        ),
    ] = None,
    fetch_from: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="fetch pictures at addresses of this host (may be repeated; default: none)"),
    ] = None,
    rows: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="answers written side by side")] = USUAL.rows,
    max_waiting: Annotated[
        int, typer.Option(metavar="N", min=0, help="requests that may wait; one more is told to come back (429)")
    ] = USUAL.max_waiting,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=64,
            help="processes that look at pictures side by side, each with experts of its own (default: one for 4 "
            "cores, at most 4, beside a model on a GPU; otherwise none)",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, max=4096, help="longest answer that may be asked for")
    ] = USUAL.max_new_tokens,
    max_pixels: Annotated[int, typer.Option(metavar="N", min=1, help="largest picture")] = USUAL.max_pixels,
    drain_seconds: Annotated[
        float, typer.Option(metavar="S", min=0, help="for what is under way when the server is told to end (SIGTERM)")
    ] = USUAL.drain_seconds,
    with_page: Annotated[bool, typer.Option("--page/--no-page", help="serve the page as well")] = True,
    replicas: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="models side by side on Ray, for programs alone")
    ] = None,
    max_replicas: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="as many replicas while much is asked (default: --replicas)")
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Ray cluster of the replicas (default: this machine)")
    ] = None,
):
    """Serve programs, as OpenAI's API does, and people, with a page, on one port."""
    from moai.serving.server import serve as run

    quiet_imports()
    settings = Settings(
        keys=tuple(key or ()),
        fetch_from=tuple(fetch_from or ()),
        rows=rows,
        max_waiting=max_waiting,
        workers=workers,
        max_new_tokens=max_new_tokens,
        max_pixels=max_pixels,
        drain_seconds=drain_seconds,
    )
    looks = looking(expert, time_limit, trust_pickles)
    if replicas is None:
        if max_replicas is not None or address is not None:
            raise ValueError("--max-replicas and --address go with --replicas")
        run(model, host, port, quantize, experts_from, looks, settings, with_page, allow_host or (), memory)
        return
    from moai.serving.replicas import Replicas, serve_replicas

    made = Replicas(model, quantize, experts_from, looks, settings, replicas, max_replicas, memory)
    serve_replicas(made, host, port, address, allow_host or ())


def page(
    model: Model = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="address to listen at")] = HOST,
    port: Annotated[int, typer.Option(metavar="N", help="port to listen at")] = PORT,
    allow_host: AllowHost = None,
    quantize: Quantize = None,
    memory: Memory = None,
    experts_from: ExpertsFrom = None,
    expert: Swaps = None,
    time_limit: TimeLimit = TIME_LIMIT,
    trust_pickles: TrustPickles = False,
):
    """The page alone: ask about a picture, and see what the experts saw."""
    quiet_imports()
    from moai.web.server import serve as run

    looks = looking(expert, time_limit, trust_pickles)
    run(model, host, port, quantize, experts_from, looks, allow_host or (), memory)
