"""An assistant in forked children, and pickled and copied ones."""

import copy
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from moai.assistant import MoAI
from perception import Perception
from tests import warm

ROOT = Path(__file__).parents[2]
FORKS = """
import os, signal, sys
import numpy as np
from moai import MoAI

assistant = MoAI.from_pretrained(sys.argv[1], experts="ocr", device="cpu")
image = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
before = assistant.ask(image, "Why?", max_new_tokens=8).text
# Another thread may be answering while the process forks.
with assistant._lock:
    child = os.fork()
if child == 0:
    signal.alarm(100)  # rather than wait for ever
    same = assistant.ask(image, "Why?", max_new_tokens=8).text == before
    other = assistant.ask(image[::-1], "Where?", max_new_tokens=8)
    os._exit(0 if same and other.text and not other.scene.warnings else 1)
after = assistant.ask(image, "Why?", max_new_tokens=8).text
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or after != before)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_answers_after_a_first_picture(model_folder):
    done = warm.run([sys.executable, "-c", FORKS, str(model_folder)], ROOT, os.environ)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_answer_alike(model_folder, again):
    assistant = MoAI.from_pretrained(model_folder, device="cpu", perception=Perception("ocr"))
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    expected = assistant.ask(image, "Why?", max_new_tokens=8)
    other = again(assistant)
    answer = other.ask(image, "Why?", max_new_tokens=8)
    assert answer.text == expected.text and answer.gates == expected.gates
    assert other.model is not assistant.model and other.perception is not assistant.perception
    assert pickle.loads(pickle.dumps(answer)) == answer == copy.deepcopy(answer)
