"""`moai speed`."""

import typer


def speed(context: typer.Context):
    """Measure speed and memory on this machine."""
    from moai.profiling.speed import main

    main(context.args)
