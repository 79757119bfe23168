"""The folder of a batch: what it was begun with, the rows that are done in whole parts, and the answers at the end."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from moai.serving.batch.outputs import WRITERS

SETTINGS, PARTS = "batch.json", "parts"


class RunFolder:
    """`parts/` has the rows that are done, `size` rows a file; a part is there whole or not at all.

    A kill at any moment loses the parts that were not yet whole, and running again answers those. Raises ValueError
    with one sentence for a folder that was begun with other `settings`, that another run uses, or that cannot be
    written.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any], count: int, size: int):
        self.folder, self.count, self.size = Path(folder).expanduser(), count, size
        self.parts = self.folder / PARTS
        self.answers = self.folder / f"answers.{settings['format']}"
        self._lock = FileLock(self.folder / ".lock")
        self._settings = dict(settings)
        self._begun: dict[int, dict[int, bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise ValueError(
                f"another batch is writing to {self.folder}; wait for it, or give another --out"
            ) from error
        except OSError as error:
            raise ValueError(
                f"answers cannot be kept in {self.folder} ({error.strerror or 'input error'}); give another --out"
            ) from error
        try:
            self._check()
            self.parts.mkdir(exist_ok=True)
            for left in [*self.folder.glob("*.partial"), *self.parts.glob("*.partial")]:
                left.unlink()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._lock.release()

    def _check(self) -> None:
        path = self.folder / SETTINGS
        new = json.loads(json.dumps(self._settings))
        if not path.exists():
            durable(path, json.dumps(new, indent=1).encode())
            return
        try:
            old = dict(json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is damaged; remove it, or give another --out") from error
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                raise ValueError(
                    f"{self.folder} holds answers with {name} {old.get(name)!r}, not {new.get(name)!r}; "
                    "give another --out"
                )

    @property
    def finished(self) -> bool:
        """Whether the answers are there in one file."""
        return self.answers.exists()

    def done(self) -> set[int]:
        """Numbers of the parts that are there."""
        return {int(path.stem) for path in self.parts.glob("*.jsonl")}

    def part_of(self, row: int) -> int:
        """The number of the part that a row belongs to."""
        return row // self.size

    def keep(self, row: int, line: bytes) -> int:
        """Takes one finished row; the number of rows that are on the disk by this, which is those of a whole part."""
        number = self.part_of(row)
        part = self._begun.setdefault(number, {})
        part[row] = line
        if len(part) < min(self.size, self.count - number * self.size):
            return 0
        del self._begun[number]
        if not self._path(number).exists():
            durable(self._path(number), b"".join(part[one] + b"\n" for one in sorted(part)))
        return len(part)

    def finish(self) -> None:
        """Joins the parts in the order of their rows, once all are there."""
        if not self.finished:
            partial = self.answers.with_name(f"{self.answers.name}.partial")
            WRITERS[self.answers.suffix[1:]](partial, self._lines())
            _moved(partial, self.answers)
        shutil.rmtree(self.parts, ignore_errors=True)

    def _lines(self) -> Iterator[bytes]:
        for number in range(-(-self.count // self.size)):
            with self._path(number).open("rb") as file:
                yield from file

    def _path(self, number: int) -> Path:
        return self.parts / f"{number:08}.jsonl"


def durable(path: Path, data: bytes) -> None:
    """Writes a file in one step that is on the disk when this returns: a kill leaves all of it, or nothing."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _moved(partial, path)


def _moved(partial: Path, path: Path) -> None:
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name is on the disk as well
    finally:
        os.close(folder)
