"""Pictures in a folder, by the names that rows give them."""

import os
from functools import lru_cache
from pathlib import Path

from moai.data.conversations.conversation import RowError


class Folder:
    """Raises ValueError for a folder that is not there."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        if not self.path.is_dir():
            raise ValueError(f"there is no folder of pictures {self.path}; name it with the setting images")

    def find(self, name: str) -> Path:
        """The picture of this name, relative to the folder or absolute; raises RowError when it is missing."""
        path = self.path / name
        if path.name not in _files(path.parent):
            raise RowError(f"its picture {path} is missing")
        return path


@lru_cache(maxsize=64)
def _files(folder: Path) -> frozenset[str]:
    """Names in a folder, read once: asking for each picture takes minutes on a network's disk."""
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()
