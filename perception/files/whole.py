"""Files and folders that are there as a whole or not at all, whenever a process is killed or a disk is full."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PART = ".part"
"""End of the names of what is being written."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; the file takes the place of `path` once it is on the disk.

    Where the block raises, nothing is left of it, and what was at `path` stays.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{PART}")
    try:
        yield beside
        _sync(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync(path.parent)


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes a file in one step, text as UTF-8; raises OSError where it cannot be written."""
    with whole_file(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON in one step."""
    write_whole(path, json_of(value, indent=1) + "\n")


def move_folder(made: Path, target: Path) -> None:
    """Puts a finished folder in the place of `target`, on the same disk, once all of it is on the disk."""
    for path in made.rglob("*"):
        _sync(path)
    _sync(made)
    if target.exists():
        old = target.with_name(f".{target.name}.{os.getpid()}{PART}")
        target.rename(old)
        made.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        made.rename(target)
    _sync(target.parent)


def json_of(value: Any, **options) -> str:
    """JSON as people read it; with escapes where a text has half of a character."""
    told = json.dumps(value, ensure_ascii=False, **options)
    try:
        told.encode()
    except UnicodeEncodeError:
        return json.dumps(value, **options)
    return told


def lines_of(text: str) -> list[str]:
    """The lines of a text that a program wrote: "\\n" alone ends one, whatever else Unicode calls the end of a line."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # not every file system can for folders
        if not path.is_dir():
            raise
    finally:
        os.close(handle)
