"""The built wheel, in an environment outside the checkout with what it requires and nothing else."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "examples" / "street.png"

pytestmark = pytest.mark.slow


def required(lines: list[str], seen: set[str]) -> Iterator[metadata.Distribution]:
    """The distributions these requirements need here, with what those need in turn."""
    for line in lines:
        wanted = Requirement(line)
        for extra in wanted.extras or {""}:
            if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
                continue
            key = f"{canonicalize_name(wanted.name)}[{extra}]"
            if key in seen:
                continue
            seen.add(key)
            found = metadata.distribution(wanted.name)
            yield found
            yield from required([one for one in found.requires or () if _wanted(one, extra)], seen)


def _wanted(line: str, extra: str) -> bool:
    marker = Requirement(line).marker
    return marker is None or marker.evaluate({"extra": extra}) or marker.evaluate({"extra": ""})


def link(distribution: metadata.Distribution, packages: Path) -> None:
    """Makes an installed distribution importable in another environment."""
    for file in distribution.files or ():
        top, source = packages / file.parts[0], Path(distribution.locate_file(file.parts[0]))
        if file.parts[0] not in ("..", "__pycache__") and not top.exists() and source.exists():
            top.symlink_to(source)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """An environment with the wheel and what its core requires, without any extra."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    for name in ("moai", "perception", "weights", "configs", "examples", "benchmarks", "tests"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "app.py", "train.py"):
        shutil.copy(ROOT / name, sources)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *offline, "--wheel-dir", str(folder), str(sources)], check=True)
    (wheel,) = folder.glob("*.whl")
    home = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    (installed,) = metadata.distributions(name="moai-vlm", path=[str(packages)])
    for distribution in required([one for one in installed.requires or () if "extra ==" not in one], set()):
        link(distribution, packages)
    return home


def run(environment: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [str(environment / "bin" / words[0]), *words[1:]]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=180)


def test_the_command_answers_and_says_which_expert_is_missing(environment, tmp_path):
    asked = ("ask", str(PICTURE), "What does the sign say?", "--model", "moai-nano", "--json")
    done = run(environment, "moai", *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["text"] == "GALLERY"
    assert any("ultralytics" in warning for warning in answer["scene"]["warnings"])


def test_a_page_without_gradio_is_refused_in_a_sentence(environment, tmp_path):
    for command, extras in (("page", "web"), ("serve", "serve,web")):
        done = run(environment, "moai", command, cwd=tmp_path)
        assert done.returncode == 2
        assert f"pip install 'moai-vlm[{extras}]'" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [["serve", "--help"], ["train", "--help"], ["train", "bridge", "--help"]], ids=" ".join
)
def test_commands_explain_themselves(environment, tmp_path, words):
    done = run(environment, "moai", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


def test_presets_are_found_without_a_checkout(environment, tmp_path):
    done = run(environment, "python", "-c", "from perception.presets import *; print(preset_names())", cwd=tmp_path)
    assert "drawn" in done.stdout, done.stderr


@pytest.mark.parametrize("package", ["benchmarks", "tests", "synth", "configs", "app", "train"])
def test_only_the_packages_themselves_are_importable(environment, tmp_path, package):
    done = run(environment, "python", "-c", f"import {package}", cwd=tmp_path)
    assert f"No module named '{package}'" in done.stderr
