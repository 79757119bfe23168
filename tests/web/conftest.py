"""The page as people start it, in a process of its own, and the same model in this one."""

import pytest

from moai.web.engine import Engine
from tests.robustness.started import started
from tests.web.visit import Visit


@pytest.fixture(scope="session")
def engine():
    """The model of the drawn world in this process."""
    engine = Engine("moai-nano")
    engine.load()
    return engine


@pytest.fixture(scope="session")
def running():
    """A page that is ready to answer: its address, and the lines of its log so far."""
    with started(["app.py", "--model", "moai-nano"]) as page:
        yield page.address, page.said


@pytest.fixture(scope="session")
def server(running):
    """Address of a running page that is ready to answer."""
    return running[0]


@pytest.fixture
def log(running):
    """What the page writes into its log during the test: call it for the lines so far."""
    lines = running[1]
    before = len(lines)
    return lambda: "".join(lines[before:])


@pytest.fixture
def visit(server):
    """A new visit to the page."""
    return Visit(server)
