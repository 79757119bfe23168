"""The commands of the pages exist with the options they are given. `make docs` builds the pages."""

import os
import re
import subprocess

import pytest

from tests.docs.pages import ROOT, command, shell_lines

MEASURED = sorted({line for page in (ROOT / "docs").glob("*.md") for line in shell_lines(page.read_text())})

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("line", MEASURED)
def test_a_command_has_the_options_it_is_given(line):
    """For those that take minutes or hours, and therefore are not run."""
    words = command(line)
    options = [word for word in words[3:] if word.startswith("--")]
    named = words[: next((at for at, word in enumerate(words) if at > 2 and word.startswith("-")), len(words))]
    environment = os.environ | {"COLUMNS": "300"}
    done = subprocess.run([*named, "--help"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert set(options) <= set(re.findall(r"--[a-z][a-z0-9-]*", done.stdout))
