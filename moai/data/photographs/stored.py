"""Files that lie uncompressed in a zip file, read in place by any number of processes."""

import os
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<4s22xHH")
"""Of a file in a zip: its mark, and the lengths of the name and of what else stands before its bytes."""


@dataclass(frozen=True)
class Stored:
    """`size` bytes of a file in `archive`, behind the header at `start`."""

    archive: Path
    start: int
    size: int

    def read(self) -> bytes:
        """The file; raises ValueError when the archive is gone or is not what it was."""
        try:
            handle = os.open(self.archive, os.O_RDONLY)
        except OSError as error:
            raise ValueError(f"{self.archive} cannot be read ({error.strerror or 'input error'})") from error
        try:
            header = os.pread(handle, _HEADER.size, self.start)
            mark, name, extra = _HEADER.unpack(header) if len(header) == _HEADER.size else (b"", 0, 0)
            data = os.pread(handle, self.size, self.start + _HEADER.size + name + extra)
        finally:
            os.close(handle)
        if mark != b"PK\3\4" or len(data) != self.size:
            raise ValueError(f"{self.archive} is damaged, or was changed while it was read")
        return data


def stored_files(archive: zipfile.ZipFile) -> dict[str, Stored]:
    """Every uncompressed file of an open zip, by name."""
    assert archive.filename is not None
    path = Path(archive.filename)
    return {
        one.filename: Stored(path, one.header_offset, one.file_size)
        for one in archive.infolist()
        if one.compress_type == zipfile.ZIP_STORED and not one.is_dir()
    }
