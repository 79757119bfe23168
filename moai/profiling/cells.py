"""Results in a file of JSON lines, one a cell."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def keep(cell: Figures, file: Path | None) -> None:
    """Prints a cell and adds it to the file, if there is one, whose folder is made; it is there when this returns."""
    line = json.dumps(cell)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")
    print(line, flush=True)


class OutOfTime(Exception):
    """A cell would not end before the time does."""


class Cells:
    """The cells of `file`, by name, with which a later call goes on; `minutes` from now on none is begun that would not
    end in time."""

    def __init__(self, file: Path, minutes: float | None = None) -> None:
        self.file = file
        self.end = None if minutes is None else time.monotonic() + 60 * minutes
        self.done: dict[str, Figures] = {}
        for number, line in enumerate(file.read_text().splitlines() if file.is_file() else (), start=1):
            try:
                one = json.loads(line)
                self.done[one["cell"]] = one
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"line {number} of {file} is no cell; name another file") from error

    def run(self, name: str, work: Callable[[], Mapping[str, Any]], seconds: float = 0.0) -> Figures:
        """The figures of a cell, from the file or from `work`, which takes about `seconds` and is then written down.

        Raises OutOfTime where that is more than what is left.
        """
        if name not in self.done:
            if self.end is not None and time.monotonic() + seconds > self.end:
                raise OutOfTime(f"no time is left for {name}; the same command goes on with it")
            self.done[name] = {"cell": name, **work()}
            keep(self.done[name], self.file)
        return self.done[name]

    def of(self, beginning: str) -> Iterable[Figures]:
        """The cells whose names begin so."""
        return (one for name, one in self.done.items() if name.startswith(beginning))
