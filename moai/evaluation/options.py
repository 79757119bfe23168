"""What every command that asks a model has in common: which model, which experts, where."""

import argparse

from moai.assistant import MoAI
from weights import DEFAULT_MODEL


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--model, --experts-from and --device."""
    parser.add_argument("--model", help=f"name, folder or hub id of a MoAI model (default: {DEFAULT_MODEL.name})")
    parser.add_argument(
        "--experts-from", metavar="PRESET|FILE", help="preset or YAML file of experts (default: the model's own)"
    )
    parser.add_argument("--device", help="cpu, cuda, ... (default: cuda where there is one)")


def assistant_of(arguments: argparse.Namespace) -> MoAI:
    """The assistant that these options ask for."""
    return MoAI.from_pretrained(arguments.model, device=arguments.device, experts_from=arguments.experts_from)
