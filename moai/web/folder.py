"""The folder of uploads: the page's own, readable by nobody else, and gone when the page ends, however it ends."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX, _LOCK = "moai-page-", ".lock"


@contextmanager
def upload_folder() -> Iterator[Path]:
    """A new folder where gradio keeps what people upload, in $GRADIO_TEMP_DIR or that of temporary files.

    It is removed in the end. Those of pages that were killed, whose locks nobody holds, are removed now.
    """
    outside = os.environ.get("GRADIO_TEMP_DIR")
    parent = Path(outside or tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    # Renamed when it is locked: a page that starts meanwhile does not take it for one without an owner.
    starting = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
    lock = FileLock(starting / _LOCK)
    lock.acquire()
    folder = starting.rename(parent / starting.name[1:]).resolve()
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    try:
        yield folder
    finally:
        if outside is None:
            del os.environ["GRADIO_TEMP_DIR"]
        else:
            os.environ["GRADIO_TEMP_DIR"] = outside
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def sweep(parent: Path) -> None:
    """Remove the folders of uploads in `parent` whose page has ended without doing so."""
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            with FileLock(folder / _LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):  # it is in use, or somebody else's
            continue
