"""Installation, README and licences say what is true."""

import os
import re
import tomllib

import pytest

from tests import warm
from tests.docs.pages import ROOT, command, shell_lines

README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Every command of the README that runs what `make setup` installs, the page apart (which tests/web starts)."""
    return [line for line in shell_lines(README) if line.startswith(".venv/bin/") and "serve" not in line]


@pytest.mark.slow
@pytest.mark.parametrize("line", commands())
def test_commands_of_the_readme_run(line, tmp_path):
    words = [str(tmp_path / word) if word in ("annotated.png", "built") else word for word in command(line)]
    words += ["--out", str(tmp_path)] if "run" in words else []
    done = warm.run(words, ROOT, os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
def test_the_python_example_of_the_readme_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    examples = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (example,) = [code for code in examples if "gradio_client" not in code]
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_make_targets_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z-]+)\s*:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    told = README + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", told, flags=re.MULTILINE))
    assert {"demo", "test", "setup"} <= named <= targets


def test_the_readme_is_read_at_once():
    assert len(README.splitlines()) < 180


def test_pictures_and_files_of_the_readme_exist():
    linked = re.findall(r"\]\(([^)#]+)\)", README)
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", README)
    for path in [one for one in linked + named if not one.startswith(("http", ".venv"))]:
        assert (ROOT / path).exists(), path


def ranges(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")}


def test_requirements_are_the_ranges_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    used = {*project["dependencies"], *extras["web"], *extras["serve"], *extras["yolo"], *extras["paddle"]}
    assert ranges((ROOT / "requirements.txt").read_text()) == used


def test_the_packages_people_ask_for_are_required():
    required = {re.match("[a-z-]+", line).group() for line in ranges((ROOT / "requirements.txt").read_text())}
    assert required >= {"torch", "transformers", "timm", "ultralytics", "paddleocr", "opencv-python", "gradio"}


def test_the_setup_brings_what_the_requirements_name():
    used, harness = re.findall(r'--editable "\.\[([a-z,]+)\]"', (ROOT / "Makefile").read_text())
    assert set(used.split(",")) >= {"web", "serve", "yolo", "paddle"}
    assert set(harness.split(",")) >= {"eval", "test"}


def test_one_version_of_opencv_wins():
    import cv2

    pinned = {line.split("==")[1] for line in ranges((ROOT / "requirements.txt").read_text()) if "opencv" in line}
    assert len(pinned) == 1
    assert pinned.pop().startswith(cv2.__version__)


def test_ultralytics_is_imported_in_its_own_places_only():
    allowed = {"perception/networks/yolo.py", "moai/training/experts/detector.py", "moai/training/experts/mask_loss.py"}
    found = {
        str(path.relative_to(ROOT))
        for folder in ("moai", "perception", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*(import|from) ultralytics", path.read_text(), flags=re.MULTILINE)
    }
    assert found <= allowed
