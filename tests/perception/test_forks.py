"""Experts in forked children, pickles and copies."""

import copy
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from perception import Perception
from perception.backends.rapidocr import RapidOCRReader
from tests import warm

ROOT = Path(__file__).parents[2]
PICTURE = np.random.default_rng(0).integers(0, 256, (48, 72, 3), dtype=np.uint8)
FORKING = """
import os, sys, threading
from perception import Perception

perception = Perception(device="cpu")
before = perception("examples/street.png")
busy = threading.Thread(target=perception, args=("examples/bed.png",))
busy.start()
child = os.fork()
if not child:
    scene = perception("examples/table.png")
    again = perception("examples/street.png")
    same = [one.label for one in again.detections] == [one.label for one in before.detections]
    os._exit(0 if same and not scene.warnings and scene.detections else 3)
busy.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_sees_pictures():
    run = warm.run([sys.executable, "-c", FORKING], ROOT, os.environ)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_perception_can_be_copied(copied):
    perception = Perception("det,sgg,ocr", device="cpu", cache_size=3)
    street = ROOT / "examples" / "street.png"
    first = perception(street)
    other = copied(perception)
    assert other.experts == perception.experts and other._watch is not perception._watch
    second = other(street)
    assert second.text_lines == first.text_lines and not second.warnings
    assert [one.label for one in second.detections] == [one.label for one in first.detections]


def test_a_copy_of_a_reader_shares_no_engine():
    reader = RapidOCRReader(engines=2)
    reader._lines = "engine"
    assert pickle.loads(pickle.dumps(reader))._lines is None and reader._lines == "engine"


def test_a_reader_reads_as_many_pictures_at_once_as_its_process_has_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = RapidOCRReader()
    kept, chosen = pickle.dumps(alone), pickle.dumps(RapidOCRReader(engines=2))
    monkeypatch.setattr("perception.networks.onnx.cores", lambda: 6)
    assert (alone._at_once, pickle.loads(kept)._at_once, pickle.loads(chosen)._at_once) == (1, 6, 2)
