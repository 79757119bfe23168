"""Fills a page's `<!-- help: moai ask -->` with what that command says about itself, when the pages are built."""

import os
import re
import subprocess
import sys

COMMENT = re.compile(r"<!-- help: moai ?(.*?) -->")


def help_of(words: list[str]) -> str:
    """The text of `moai WORDS --help` at 100 columns; raises CalledProcessError for a command that is not there."""
    command = [sys.executable, "-m", "moai", *words, "--help"]
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def on_page_markdown(markdown: str, **_) -> str:
    """Called by mkdocs for every page."""
    return COMMENT.sub(lambda found: f"```text\n{help_of(found[1].split()).rstrip()}\n```", markdown)
