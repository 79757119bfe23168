"""`moai train`."""

import typer


def train(context: typer.Context):
    """Train MoAI, or one of its experts, as a YAML file says."""
    from moai.training.command import main

    if code := main(context.args, "moai train"):
        raise typer.Exit(code)
