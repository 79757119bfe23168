"""The commands of the pages exist with the options they are given. `make docs` builds the pages."""

import functools
import os
import re
import subprocess
import sys

import pytest

from tests import warm
from tests.docs.pages import ROOT, command, shell_lines

MEASURED = sorted({line for page in (ROOT / "docs").glob("*.md") for line in shell_lines(page.read_text())})

pytestmark = pytest.mark.slow


@functools.cache
def explained(words: tuple[str, ...]) -> subprocess.CompletedProcess:
    """A command asked for its help; most stand on the pages with several options."""
    return warm.run([*words, "--help"], ROOT, os.environ | {"COLUMNS": "300"}, 120)


@pytest.mark.parametrize("line", MEASURED)
def test_a_command_has_the_options_it_is_given(line):
    """For those that take minutes or hours, and therefore are not run."""
    words = command(line)
    options = [word for word in words[3:] if word.startswith("--")]
    named = words[: next((at for at, word in enumerate(words) if at > 2 and word.startswith("-")), len(words))]
    done = explained(tuple(named))
    assert done.returncode == 0, done.stderr
    assert set(options) <= set(re.findall(r"--[a-z][a-z0-9-]*", done.stdout))


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("print(1)", 0),
        ("import sys; sys.exit(3)", 3),
        ("raise SystemExit('no')", 1),
        ("1 / 0", 1),
        ("while 1: pass", -14),
    ],
)
def test_how_a_command_ended_is_told(code, ends):
    done = warm.run([sys.executable, "-c", code], ROOT, os.environ, 1)
    assert done.returncode == ends and (done.stdout == "1\n") == (ends == 0)
