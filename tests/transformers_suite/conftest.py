"""The suites of transformers must be fetched first (`make suites`). Every skip has its reason in docs/transformers.md:
a run with a reason that the page's table does not explain fails."""

import re
import sys
from pathlib import Path

import pytest

from tests.transformers_suite.fetch import suites_folder

PAGE = Path(__file__).parents[2] / "docs" / "transformers.md"
MARKS = ("accelerate_tests", "flash_attn_test", "flash_attn_3_test", "flash_attn_4_test", "torch_compile_test")

sys.path.insert(0, str(suites_folder()))
_reasons: set[str] = set()


def explained() -> list[str]:
    """Parts of reasons, from the first column of the page's table of skips."""
    return re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(), re.MULTILINE)


def pytest_configure(config):
    for name in MARKS:
        config.addinivalue_line("markers", f"{name}: a mark of transformers' suites")


def pytest_runtest_logreport(report):
    if report.skipped and isinstance(report.longrepr, tuple):
        _reasons.add(report.longrepr[2].removeprefix("Skipped: ").replace("`", ""))


def pytest_sessionfinish(session, exitstatus):
    parts = explained()
    unexplained = [reason for reason in sorted(_reasons) if not any(part in reason for part in parts)]
    if unexplained:
        print(f"\n{PAGE.name} does not explain why tests are skipped: {'; '.join(unexplained)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
