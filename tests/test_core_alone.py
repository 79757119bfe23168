"""The model, its inference, the assistant and perception need nothing of the drawn world."""

import os
import sys
from pathlib import Path

import pytest

from tests import warm

ROOT = Path(__file__).parents[1]
BLOCKED = "import sys; sys.modules['moai.data.drawn'] = None\n"

ANSWERS = """
import importlib, pkgutil
import moai, perception
from moai import MoAI
for package in (moai.models, moai.inference, perception):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
answer = MoAI.from_pretrained("moai-nano", device="cpu").ask("examples/street.png", "What does the sign say?")
assert answer.text and answer.scene.detections, answer
print(answer.text)
"""
CORE = ("models", "inference", "perception", "assistant/test_assistant.py", "assistant/test_image_path.py")
COLLECTS = f"""
import pytest
sys.exit(pytest.main(["-q", "--collect-only", "--assert=plain", *{[f"tests/{name}" for name in CORE]!r}]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [ANSWERS, COLLECTS], ids=["answers", "tests are found"])
def test_without_the_drawn_world(code):
    done = warm.run([sys.executable, "-c", BLOCKED + code], ROOT, os.environ)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_block_blocks():
    code = BLOCKED + "import moai.data.drawn.catalog"
    done = warm.run([sys.executable, "-c", code], ROOT, os.environ)
    assert done.returncode and "moai.data.drawn" in done.stderr
