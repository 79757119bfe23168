"""A few kills of each kind; `python -m tests.robustness.kills --kills 200 FOLDER` does many."""

import json
import os
import sys

import pytest

from tests import warm
from tests.robustness.kills import CAMPAIGNS, ROOT, Campaign

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What came of each campaign, all by one process."""
    words = [sys.executable, "-m", "tests.robustness.kills", "--kills", "1", str(tmp_path_factory.mktemp("kills"))]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = warm.run(words, ROOT, environment)
    campaigns = [Campaign(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(campaigns) == len(CAMPAIGNS), done.stderr[-2000:]
    return {one.name: one for one in campaigns}


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_what_is_killed_and_gone_on_with_comes_to_the_same(name, made):
    assert made[name].kills >= 1 and made[name].runs >= 1 and made[name].faults == 0, made[name]
