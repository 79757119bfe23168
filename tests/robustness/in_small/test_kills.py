"""A few kills of each kind; `python -m tests.robustness.kills --kills 200 FOLDER` does many."""

import pytest

from tests.robustness.kills import CAMPAIGNS, kill


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_what_is_killed_and_gone_on_with_comes_to_the_same(name, tmp_path):
    made = kill(name, tmp_path, kills=1)
    assert made.kills >= 1 and made.runs >= 1 and made.faults == 0, made
