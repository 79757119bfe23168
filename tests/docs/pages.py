"""Pages of docs/ as what they tell a reader to do, done in a copy of the project."""

import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests import warm

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', flags=re.DOTALL | re.MULTILINE)
TIMEOUT = 300


@dataclass(frozen=True)
class Block:
    """One code block: `language` as the page says it ("" is a shell), `title` the file that it is about, or None."""

    language: str
    title: str | None
    text: str


def sections(page: Path) -> dict[str, str]:
    """The text of a page by its second-order headings; what stands before them is called ""."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(text: str) -> list[Block]:
    """The code blocks of a text, in order."""
    return [Block(language, title or None, code) for language, title, code in BLOCK.findall(text)]


def shell_lines(text: str) -> list[str]:
    """The commands of a text's shell blocks, without the comments behind them."""
    lines = (line for block in blocks(text) if not block.language for line in block.text.splitlines())
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


def command(line: str) -> list[str]:
    """The words of a shell line with the Python that runs here."""
    program, *words = shlex.split(line)
    return [sys.executable, *(["-m", Path(program).name] if not program.endswith("python") else []), *words]


class Copy:
    """A copy of the project in `folder`, in which pages can be followed."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("moai", "perception", "configs", "benchmarks"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "atlas"))
        (folder / "moai/data/drawn/render/atlas").symlink_to(ROOT / "moai/data/drawn/render/atlas")
        for name in ("weights", "examples", "app.py", "train.py"):
            (folder / name).symlink_to(ROOT / name)
        self.files = self.lines = 0
        self.said = ""

    def follow(self, block: Block) -> None:
        """Does what a block says; `files` and `lines` count what it adds to the project's Python."""
        if block.language == "diff":
            self._insert(block)
        elif block.title is not None:
            path = self.folder / block.title
            assert not path.exists(), f"{block.title} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
            self.files += block.language == "python"
        elif block.language == "python":
            self._run([sys.executable, "-c", block.text])
        elif block.language == "text":
            assert block.text.strip() in self.said, f"{block.text!r} is not in\n{self.said}"
        elif not block.language:
            self.said = ""
            for line in shell_lines(f"```\n{block.text}```\n"):
                self._run(command(line))

    def _insert(self, block: Block) -> None:
        lines = block.text.splitlines()
        old = "\n".join(line[1:] for line in lines if not line.startswith("+")) + "\n"
        new = "\n".join(line[1:] for line in lines) + "\n"
        path = self.folder / block.title
        text = path.read_text()
        assert text.count(old) == 1, f"{block.title} has no single place for\n{block.text}"
        path.write_text(text.replace(old, new))
        self.lines += sum(line.startswith("+") for line in lines)

    def _run(self, words: list[str]) -> None:
        environment = os.environ | {"PYTHONPATH": str(self.folder), "HF_HUB_OFFLINE": "1"}
        done = warm.run(words, self.folder, environment, TIMEOUT)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        self.said += done.stdout
