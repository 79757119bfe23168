"""Pictures that are looked at in processes of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perception import Perception
from perception.images import pixels_of
from tests.robustness.started import ended

EXPERTS = {"detection": "nanodet:embedded:nanodet", "scene_graph": "geometry"} | dict.fromkeys(
    ("segmentation", "ocr", "tags", "possible"), False
)
PATIENCE = 120


def spread(processes=1):
    """Experts, and the processes in which they look."""
    experts = Perception(experts_from=EXPERTS, time_limit=50)
    experts.spread(processes)
    assert experts._aside.ready.wait(PATIENCE)
    return experts, experts._aside


@pytest.fixture(scope="module")
def bus():
    import ultralytics

    return pixels_of(Path(ultralytics.__file__).parent / "assets" / "bus.jpg")


def test_what_is_seen_aside_is_what_is_seen_here(bus, monkeypatch):
    here = Perception(experts_from=EXPERTS)(bus)
    experts, aside = spread()
    monkeypatch.setattr(experts, "look", lambda *given: pytest.fail("looked here"))
    pictures = [bus, np.ascontiguousarray(bus[:, ::-1])]
    seen = experts.batch(pictures)
    assert here.detections and here.relations
    for name in ("detections", "relations", "warnings"):
        assert getattr(seen[0], name) == getattr(here, name)
    assert seen[1].detections != seen[0].detections
    monkeypatch.setattr(aside, "look", lambda *given: pytest.fail("looked again"))
    assert experts(bus).detections == here.detections  # remembered
    assert experts.narrowed("det")._aside is aside
    monkeypatch.undo()
    assert experts(bus, experts="det").relations == []
    (process,) = aside._pool._processes
    experts.spread(0)
    assert experts._aside is None and ended(process)


def test_a_process_that_dies_costs_nothing_and_comes_back(bus, monkeypatch):
    monkeypatch.setattr("perception.processes.aside.MOST_DEATHS", 1)
    experts, aside = spread()
    for comes_back in (True, False):
        (process,) = aside._pool._processes
        os.kill(process, signal.SIGKILL)
        assert ended(process)
        assert experts(np.roll(bus, 9 + comes_back, axis=1)).detections  # seen here, and the process is missed
        assert aside.ready.wait(PATIENCE if comes_back else 1) is comes_back
    assert aside.look(bus, experts.experts) is None


def test_experts_that_cannot_be_elsewhere_are_told():
    experts = Perception(experts_from=EXPERTS, detection=lambda picture, scene: None)
    with pytest.raises(ValueError, match="given as objects"):
        experts.spread(1)
    assert experts._aside is None


def test_processes_end_with_one_that_is_killed():
    program = f"""if __name__ == "__main__":
    import time
    from perception import Perception
    experts = Perception(experts_from={EXPERTS!r})
    experts.spread(1)
    assert experts._aside.ready.wait({PATIENCE})
    print(*experts._aside._pool._processes, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    assert ended(child)
