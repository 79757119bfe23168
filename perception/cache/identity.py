"""Which experts a kept scene comes from: a description of them, and its digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from perception.expert import Expert
from perception.presets import Entry

FORMAT = 1
"""Of kept scenes; part of the digest, so that scenes of another format are looked at anew."""
_CHUNK = 1 << 20


def experts_record(entries: Mapping[str, Entry | Expert]) -> dict[str, Any]:
    """Every expert by kind, as plain values: its backend, options and weights. Weights that are a file or a folder
    count by their contents, others (a name on the hub) by the name.

    Raises ValueError for an expert that was given as an object, of which nothing is known.
    """
    record: dict[str, Any] = {}
    for kind, entry in sorted(entries.items()):
        if not isinstance(entry, Entry):
            raise ValueError(f"what the expert {kind} sees cannot be kept: it was given as an object, not by a preset")
        plain = asdict(entry)
        if entry.weights is not None and Path(entry.weights).exists():
            plain["weights"] = f"{Path(entry.weights).name} ({contents_digest(Path(entry.weights))})"
        record[kind] = json.loads(json.dumps(plain, default=str, sort_keys=True))
    return record


def experts_digest(record: Mapping[str, Any]) -> str:
    """16 hex digits that differ for experts that may see differently."""
    text = json.dumps({"format": FORMAT, "experts": record}, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def contents_digest(path: Path) -> str:
    """Digest of a file, or of all files of a folder with their names in it."""
    if not path.is_dir():
        return _file_digest(path, path.stat().st_size, path.stat().st_mtime_ns)
    digest = hashlib.blake2b(digest_size=8)
    for one in sorted(one for one in path.rglob("*") if one.is_file()):
        digest.update(f"{one.relative_to(path).as_posix()} {contents_digest(one)}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(path: Path, size: int, changed: int) -> str:
    """Read once a process, as long as its size and time stay."""
    digest = hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()
