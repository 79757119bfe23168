"""Answers on disk as they come, so that a killed run continues where it stopped."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from perception.files.whole import json_of, lines_of, write_json


class JournalError(ValueError):
    """A folder that cannot be continued; the message is one sentence."""


class Journal:
    """The answers of one run in a folder: `answers*.jsonl`, one JSON object with `key` and `answer` a line.

    `settings` say what made the answers. A folder begun with other settings raises JournalError, as does one that
    cannot be written, or into which another process writes. Several processes may share a folder, each with a `rank` of
    its own; all read what any has written before they began. A line that a kill cut off is dropped, which is said.
    """

    def __init__(self, folder: Path, settings: Mapping, rank: int = 0):
        self.folder = Path(folder)
        self._file = self.folder / ("answers.jsonl" if rank == 0 else f"answers-{rank}.jsonl")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            self._check_settings(dict(settings))
            self._drop_torn_line()
            self.answers = {row["key"]: row["answer"] for row in self._rows()}
        except OSError as error:
            raise self._unwritable(error) from error

    def _locked(self) -> FileLock:
        # The same lock for all of this process, which may go on with a folder that it left.
        lock = FileLock(self._file.with_suffix(".lock"), is_singleton=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise JournalError(
                f"another run is writing answers to {self.folder}; wait for its end, or give another --out"
            ) from None
        except NotImplementedError:  # a file system without locks
            pass
        return lock

    def _unwritable(self, error: OSError) -> JournalError:
        reason = error.strerror or "input error"
        return JournalError(f"answers cannot be kept in {self.folder} ({reason}); give another --out")

    def _check_settings(self, settings: dict) -> None:
        path = self.folder / "settings.json"
        if not path.exists():
            write_json(path, settings)
            return
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise JournalError(f"{path} is damaged; remove it, or give another --out") from error
        if not isinstance(old, dict):
            raise JournalError(f"{path} is damaged; remove it, or give another --out")
        # Compared as JSON, which knows no tuples.
        new = json.loads(json.dumps(settings))
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                raise JournalError(
                    f"{self.folder} holds answers made with {name} {old.get(name)!r}, not {new.get(name)!r}; "
                    "give another --out"
                )

    def _rows(self) -> list[dict]:
        return rows_in(self.folder)

    def _drop_torn_line(self) -> None:
        if not self._file.exists() or (data := self._file.read_bytes()).endswith(b"\n") or not data:
            return
        whole = data.rfind(b"\n") + 1
        os.truncate(self._file, whole)
        print(f"the last line of {self._file} was cut off; it is dropped and answered anew", file=sys.stderr)

    def add(self, rows: Iterable[Mapping]) -> None:
        """Keeps new answers; they are on the disk when this returns. Rows have `key`, `answer` and whatever helps.

        Raises JournalError, and keeps none of them, where they cannot be written."""
        rows = list(rows)
        if wrong := [row["key"] for row in rows if not isinstance(row["key"], str | int)]:
            raise ValueError(f"the key of an answer must be a text or a number, not {wrong[0]!r}")
        data = "".join(json_of(row) + "\n" for row in rows).encode()
        try:
            with self._file.open("ab", buffering=0) as file:
                before = file.tell()
                try:
                    if file.write(data) != len(data):
                        raise OSError(None, "the disk is full")
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)
                    raise
        except OSError as error:
            raise self._unwritable(error) from error
        self.answers |= {row["key"]: row["answer"] for row in rows}


def rows_in(folder: Path) -> list[dict]:
    """The rows of all answers in a folder, in the order of their files; none where there are none."""
    paths = sorted(folder.glob("answers*.jsonl"))
    lines = [line for path in paths for line in lines_of(path.read_text(encoding="utf-8", errors="replace"))]
    return [row for line in lines if (row := _row(line)) is not None]


def _row(line: str) -> dict[str, Any] | None:
    """The row in a line; None for a damaged one, whose question is asked anew."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not {"key", "answer"} <= row.keys() or not isinstance(row["key"], str | int):
        return None
    return row
