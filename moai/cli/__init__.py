"""The command `moai`: one file for each of its commands."""

from moai.cli.main import main

__all__ = ["main"]
