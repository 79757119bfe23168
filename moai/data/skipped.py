"""What of the data could not be used, and why: counted over all processes that read it, and listed."""

import json
import os
import tempfile
import uuid
import weakref
from pathlib import Path

SHOWN = 5
"""Of what was skipped, those that `Skipped.sentence` names."""


class Skipped:
    """A list that worker processes add to and that the first process reads; `what` names its entries.

    It is a temporary file, made with the first entry, to which each is written in one piece; it goes with the process
    that made this. A name that is noted again counts once.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._noted: set[str] = set()
        self.path = Path(tempfile.gettempdir()) / f"moai-skipped-{uuid.uuid4().hex}.jsonl"
        weakref.finalize(self, _remove, self.path, os.getpid())

    def note(self, name: str, why: str) -> None:
        """Adds a name and one sentence that says why."""
        if name in self._noted:
            return
        self._noted.add(name)
        line = json.dumps([name, why]) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def entries(self) -> dict[str, str]:
        """Every name with its sentence, in the order of their first notes."""
        found: dict[str, str] = {}
        if self.path.is_file():
            for line in self.path.read_text().splitlines():
                name, why = json.loads(line)
                found.setdefault(name, why)
        return found

    def sentence(self) -> str | None:
        """How many there are and the first of them, or None when there is none."""
        entries = self.entries()
        if not entries:
            return None
        shown = [f"{name}: {why}" for name, why in list(entries.items())[:SHOWN]]
        shown += [f"and {len(entries) - SHOWN:,} more"] if len(entries) > SHOWN else []
        return f"{self.what}: {len(entries):,} ({'; '.join(shown)})"


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        path.unlink(missing_ok=True)
