"""What every command that asks a model has in common: which model, which experts, where."""

import argparse
from pathlib import Path
from typing import Any

from moai.assistant import MoAI
from moai.presets import MEMORY_MEANS, TIME_LIMIT_MEANS, TRUST_PICKLES_MEANS
from perception.guard.watch import TIME_LIMIT
from weights import DEFAULT_MODEL


def add_model_options(parser: argparse.ArgumentParser, model: Path = DEFAULT_MODEL) -> None:
    """--model, --device and those of `add_expert_options`; `model` is the embedded one that is asked by default."""
    given = None if model == DEFAULT_MODEL else model.name
    told = f"name, folder or hub id of a MoAI model (default: {model.name})"
    parser.add_argument("--model", default=given, help=told)
    add_expert_options(parser)
    parser.add_argument("--device", help="cpu, cuda, ... (default: cuda where there is one)")


def add_assistant_options(parser: argparse.ArgumentParser, model: Path = DEFAULT_MODEL) -> None:
    """--memory and those of `add_model_options`: what `assistant_of` reads."""
    add_model_options(parser, model)
    parser.add_argument("--memory", metavar="AMOUNT", help=MEMORY_MEANS)


def add_expert_options(parser: argparse.ArgumentParser) -> None:
    """--experts-from, --time-limit and --trust-pickles."""
    parser.add_argument(
        "--experts-from", metavar="PRESET|FILE", help="preset or YAML file of experts (default: the model's own)"
    )
    means = f"{TIME_LIMIT_MEANS} (default: %(default).0f)"
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT, metavar="SECONDS", help=means)
    parser.add_argument("--trust-pickles", action="store_true", help=TRUST_PICKLES_MEANS)


def looking(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_expert_options` say besides the preset, as `perception.Perception` takes it."""
    return {"time_limit": arguments.time_limit, "trust_pickles": arguments.trust_pickles}


def assistant_of(arguments: argparse.Namespace) -> MoAI:
    """The assistant that the options of `add_assistant_options` ask for."""
    load = {"device": arguments.device, "experts_from": arguments.experts_from, "memory": arguments.memory}
    return MoAI.from_pretrained(arguments.model, **load, **looking(arguments))
