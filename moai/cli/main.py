"""The command `moai` and its errors. Commands import what they need when they run: `moai --help` is there at once."""

import sys

import typer

from moai.cli import ask, batch, build, convert, evaluate, export, perceive, serve, speed, train
from moai.cli.sparse import merge, prune, upcycle
from moai.terminal import guarded

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Ask questions about pictures and see the evidence for each answer.",
)
app.command("ask")(ask.ask)
app.command("perceive")(perceive.perceive)
app.command("serve")(serve.serve)
app.command("page")(serve.page)
app.command("batch")(batch.batch)
app.add_typer(evaluate.app, name="eval")
app.command("train", **evaluate.FORWARDED)(train.train)
app.command("speed", **evaluate.FORWARDED)(speed.speed)
app.command("build")(build.build)
app.command("convert")(convert.convert)
app.command("export")(export.export)
app.command("upcycle")(upcycle.upcycle)
app.command("prune")(prune.prune)
app.command("merge")(merge.merge)


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 when it went well, 2 after one sentence on standard error when it did not."""
    return guarded(lambda: _run(sys.argv[1:] if argv is None else list(argv)))


def _run(argv: list[str]) -> None:
    try:
        # Without typer's own handling of errors, which prints several lines for each.
        with typer.main.get_command(app).make_context("moai", argv) as context:
            context.command.invoke(context)
    except typer.Exit as left:
        if left.exit_code:
            raise SystemExit(left.exit_code) from left
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        raise ValueError(_usage(error)) from error


def _usage(error) -> str:
    """One sentence about words that a command does not take; `error` is a UsageError of typer or click."""
    told = error.format_message().rstrip(".")
    command = error.ctx.command_path if error.ctx is not None else "moai"
    return f"{told[:1].lower()}{told[1:]}; `{command} --help` says what is allowed"
