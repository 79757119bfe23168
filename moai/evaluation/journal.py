"""Answers on disk as they come, so that a killed run continues where it stopped."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path


class JournalError(ValueError):
    """A folder that cannot be continued; the message is one sentence."""


class Journal:
    """The answers of one run in a folder: `answers*.jsonl`, one JSON object with `key` and `answer` a line.

    `settings` say what made the answers. A folder begun with other settings raises JournalError, as does one that
    cannot be written. Several processes may share a folder, each with a `rank` of its own; all read what any has
    written before they began.
    """

    def __init__(self, folder: Path, settings: Mapping, rank: int = 0):
        self.folder = Path(folder)
        self._file = self.folder / ("answers.jsonl" if rank == 0 else f"answers-{rank}.jsonl")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_settings(dict(settings))
            self.answers = {row["key"]: row["answer"] for row in self._rows()}
            self._end_broken_line()
        except OSError as error:
            reason = error.strerror or "input error"
            raise JournalError(f"answers cannot be kept in {self.folder} ({reason}); give another --out") from error

    def _check_settings(self, settings: dict) -> None:
        path = self.folder / "settings.json"
        if not path.exists():
            write_json(path, settings)
            return
        try:
            old = json.loads(path.read_text())
        except ValueError as error:
            raise JournalError(f"{path} is damaged; remove it, or give another --out") from error
        # Compared as JSON, which knows no tuples.
        new = json.loads(json.dumps(settings))
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                raise JournalError(
                    f"{self.folder} holds answers made with {name} {old.get(name)!r}, not {new.get(name)!r}; "
                    "give another --out"
                )

    def _rows(self) -> list[dict]:
        rows = []
        for path in sorted(self.folder.glob("answers*.jsonl")):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    row = json.loads(line)
                except ValueError:  # the line that was being written when the run was killed
                    continue
                if isinstance(row, dict) and {"key", "answer"} <= row.keys():
                    rows.append(row)
        return rows

    def _end_broken_line(self) -> None:
        if self._file.exists() and not self._file.read_bytes().endswith(b"\n"):
            with self._file.open("ab") as file:
                file.write(b"\n")

    def add(self, rows: Iterable[Mapping]) -> None:
        """Keeps new answers; they are on the disk when this returns. Rows have `key`, `answer` and whatever helps."""
        rows = list(rows)
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())
        self.answers |= {row["key"]: row["answer"] for row in rows}


def write_json(path: Path, value) -> None:
    """Writes JSON in one step: a kill leaves the old file or the new one."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
