"""What `import moai` gives, how light it is, and what a terminal without UTF-8 shows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from moai.assistant import MoAI
from tests import warm

ROOT = Path(__file__).parents[2]


def run(*arguments, **environment) -> subprocess.CompletedProcess:
    settings = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"} | environment
    return subprocess.run([sys.executable, *arguments], env=settings, capture_output=True, timeout=150, check=False)


def test_the_package_is_light_until_a_name_is_used():
    heavy = "[name for name in ('torch', 'transformers', 'cv2', 'gradio', 'ultralytics') if name in sys.modules]"
    for module in ("moai", "moai.cli"):
        done = run("-c", f"import sys, {module}; print({heavy})")
        assert (done.returncode, done.stdout.strip()) == (0, b"[]"), done.stderr.decode()


def test_the_auto_classes_know_the_model_whichever_name_is_asked_for(model_folder):
    code = f"""
import sys
assert "transformers" not in sys.modules
from moai import MoAIConfig
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
folder = {str(model_folder)!r}
print(isinstance(AutoConfig.from_pretrained(folder), MoAIConfig))
print(type(AutoModelForImageTextToText.from_pretrained(folder)).__name__)
print(type(AutoProcessor.from_pretrained(folder)).__name__)
from moai import Answer, MoAI, MoAIForConditionalGeneration, MoAIProcessor
print(Answer.__module__, MoAI.__module__)
"""
    lines = ["True", "MoAIForConditionalGeneration", "MoAIProcessor", "moai.answers moai.assistant"]
    done = warm.run([sys.executable, "-c", code], ROOT, os.environ, more=False)
    assert done.stdout.splitlines() == lines, done.stderr


QUESTION = "Où est le 猫?"
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


TWO_COMMANDS = """
import sys
from moai.cli import main
at = sys.argv.index("then")
print(main(sys.argv[1:at]), flush=True)
raise SystemExit(main(sys.argv[at + 1:]))
"""


def test_json_and_errors_on_a_terminal_without_utf8(model_folder, tmp_path):
    image = tmp_path / "straße.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)).save(image)
    assistant = MoAI.from_pretrained(model_folder, device="cpu")
    answer = assistant.ask(image, QUESTION, moai=False, max_new_tokens=16).text
    options = ("--model", str(model_folder), "--device", "cpu", "--no-moai", "--max-new-tokens", "16", "--json")
    asked = ("ask", str(image), QUESTION, *options)
    done = run("-c", TWO_COMMANDS, *asked, "then", "ask", str(tmp_path / "groß.png"), QUESTION, **C_LOCALE)
    record, code = done.stdout.rstrip().rsplit(b"\n", 1)
    assert code == b"0" and record.isascii() and json.loads(record)["text"] == answer
    assert done.returncode == 2 and done.stderr.startswith(b"moai: there is no file"), done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_characters_that_a_terminal_lacks_do_not_cost_the_answer():
    said = r"print('caf\u00e9 \u732b \ud83d')"
    done = run("-c", f"from moai.terminal import guarded; raise SystemExit(guarded(lambda: {said}))", **C_LOCALE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.strip() == rb"caf\xe9 \u732b \ud83d"
