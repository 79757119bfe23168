"""`moai train`."""

import typer


def train(context: typer.Context):
    """Train MoAI, or an expert, as a YAML file says."""
    from moai.training.command import main

    if code := main(context.args):
        raise typer.Exit(code)
