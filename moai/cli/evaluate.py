"""`moai eval`: benchmarks and measurements of what an assistant answers."""

from importlib import import_module

import typer

FORWARDED = {"add_help_option": False, "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True}}
_COMMANDS = {
    "list": ("moai.evaluation.cli", "Show every benchmark and where its data comes from."),
    "run": ("moai.evaluation.cli", "Answer and score benchmarks; what was answered before is kept."),
    "ablate": ("moai.evaluation.cli", "Run drawn with parts of the model left out."),
    "report": ("moai.evaluation.cli", "Write report.md, report.json and report.png about finished runs."),
    "photos": ("moai.evaluation.photos.command", "Ask about photographs that people annotated."),
    "answers": ("moai.evaluation.drawn.answers", "Score answers on held-out drawn scenes, by kind of question."),
    "contribution": ("moai.evaluation.drawn.expert_contribution", "What each expert gives to the answers."),
    "faithfulness": ("moai.evaluation.drawn.faithfulness", "How far answers keep to what the experts saw."),
    "strategies": ("moai.evaluation.strategies.command", "Drafts and contrast beside the greedy answer."),
    "experts": ("moai.evaluation.drawn.expert_accuracy", "Score the embedded experts on drawn scenes."),
    "noise": ("moai.evaluation.drawn.expert_noise", "Real reading mistakes beside simulated ones."),
}

app = typer.Typer(help="Benchmarks and measurements.")


def _forward(name: str, module: str):
    def command(context: typer.Context):
        words = [name, *context.args] if module == "moai.evaluation.cli" else context.args
        if code := import_module(module).main(words):
            raise typer.Exit(code)

    return command


for _name, (_module, _help) in _COMMANDS.items():
    app.command(_name, help=_help, **FORWARDED)(_forward(_name, _module))
