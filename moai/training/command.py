"""`moai train` and train.py: an experiment by name or YAML file, with options or `key=value` for its settings."""

import argparse
import shlex
import sys
from dataclasses import MISSING, fields

from moai.training.experiment import (
    DetectorExperiment,
    Experiment,
    ModelExperiment,
    experiment_names,
    kind_of,
    load_experiment,
)

_OLD_NAMES = {"image_size": "--picture-size"}
_DRAWN_OPTIONS = {"--difficulty": ("data[0].difficulty", "of the drawn scenes, 0 (plain) to 1 (default: mixed)")}
"""Settings of the first source that have an option of their own."""


def parser(program: str, settings: type[Experiment] | None = None) -> argparse.ArgumentParser:
    """The options: what to train and, once that is known, an option for each of its settings."""
    top = argparse.ArgumentParser(
        prog=program,
        description="Train MoAI or one of its experts. An experiment is a YAML file or one of "
        f"{', '.join(experiment_names())}; name it to see its settings: {program} bridge --help.",
        epilog="Settings can also be given as key=value, as the file writes them. The whole recipe of the embedded "
        "model: python -m moai.training.recipe FOLDER",
        allow_abbrev=False,
    )
    top.add_argument("experiment", nargs="?", metavar="EXPERIMENT", help="a YAML file or a name")
    top.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")
    top.add_argument("--stage", metavar="NAME", help="the same as EXPERIMENT")
    for one in fields(settings) if settings else ():
        if one.name == "kind":
            continue
        names = ["--" + one.name.replace("_", "-"), *([_OLD_NAMES[one.name]] if one.name in _OLD_NAMES else [])]
        told = one.metadata["help"]
        if one.default is not MISSING and one.default not in (None, ()):
            told += f" (default: {one.default})"
        form: dict = (
            {"metavar": "X"} if not one.metadata.get("choices") else {"metavar": "|".join(one.metadata["choices"])}
        )
        if one.type is bool:
            form = {"action": argparse.BooleanOptionalAction}
        elif "alone" in one.metadata:
            form |= {"nargs": "?", "const": one.metadata["alone"]}
        top.add_argument(*names, dest=f"set_{one.name}", default=None, help=told.replace("%", "%%"), **form)
    if settings is ModelExperiment:
        for option, (key, told) in _DRAWN_OPTIONS.items():
            top.add_argument(option, dest=f"set_{key}", metavar="X", help=told)
    return top


def parsed(argv: list[str], program: str) -> tuple[Experiment, str]:
    """The experiment that the arguments ask for and its name; raises ValueError with one sentence where they cannot be
    followed."""
    settings = None
    if (named := _named(argv)) is not None:
        settings = kind_of(named)
    elif not {"-h", "--help"} & set(argv):
        raise ValueError(f"say what to train: a YAML file, or one of {', '.join(experiment_names())}")
    top = parser(program, settings)
    arguments, rest = top.parse_known_intermixed_args(argv)
    if rest:
        raise ValueError(f"{named} has no option {rest[0]}; see {program} {named} --help")
    overrides = list(arguments.overrides)
    if arguments.stage is not None and arguments.experiment is not None:
        overrides.insert(0, arguments.experiment)  # what stands behind --stage NAME are settings
    for one in fields(settings):
        value = getattr(arguments, f"set_{one.name}", None)
        if value is not None:
            overrides.append(f"{one.name}={_written(one, value)}")
    for key, _ in _DRAWN_OPTIONS.values():
        if (value := getattr(arguments, f"set_{key}", None)) is not None:
            overrides.append(f"{key}={value}")
    experiment = load_experiment(named, overrides)
    if experiment.output is None:
        raise ValueError("name a folder for the result with --output")
    return experiment, _title(named)


def _named(argv: list[str]) -> str | None:
    """The experiment that is asked for, found before its options are known."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--stage")
    if (stage := first.parse_known_args(argv)[0].stage) is not None:
        return stage
    return argv[0] if argv and not argv[0].startswith("-") and "=" not in argv[0] else None


def _written(one, value) -> str:
    """An option's value as the YAML of an override."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{value}]" if "tuple" in str(one.type) else str(value)


def _title(named: str) -> str:
    return named if "/" not in named and "." not in named else named.rsplit("/", 1)[-1].removesuffix(".yaml")


def run(experiment: Experiment, name: str, command: str) -> None:
    """Trains what the experiment says; `name` and `command` go into the result's record."""
    if isinstance(experiment, ModelExperiment):
        from moai.training.run import train_model

        train_model(experiment, name, command)
    elif isinstance(experiment, DetectorExperiment):
        from moai.training.experts.stages import run_detector

        run_detector(experiment)
    else:
        from moai.training.experts.stages import run_relations

        run_relations(experiment)


def main(argv: list[str] | None = None, program: str = "train.py") -> int:
    """Trains; 0 when it went well, 2 after one sentence on standard error when it could not begin."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        experiment, name = parsed(argv, program)
        run(experiment, name, shlex.join(["python", "train.py", *argv]))
    except (ValueError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    return 0
