"""JSON records of a file, found by number without holding the file in memory."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from moai.data.conversations.conversation import RowError

_DECODER = json.JSONDecoder()
_BLANK = " \t\n\r"
_MARK = b"\xef\xbb\xbf"
"""With which some programs begin files in UTF-8."""


class Records:
    """The objects of a JSON list, or of a file with one a line.

    Raises ValueError with one sentence for a file that cannot be read, holds no records, or is broken in such a way
    that no record can be told from the next. A line that is no JSON object is a record that raises RowError.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise ValueError(f"the data {self.path} cannot be read ({error.strerror or 'input error'})") from error
        begin = len(_MARK) if data.startswith(_MARK) else 0
        opening = data[begin:].lstrip()[:1]
        if not opening:
            raise ValueError(f"the data {self.path} is empty; give a JSON list of rows, or one JSON object a line")
        self.is_list = opening == b"["
        spans = self._of_list(data, begin) if self.is_list else self._of_lines(data, begin)
        if not len(spans):
            raise ValueError(f"the data {self.path} holds no rows")
        self.spans = spans

    def __len__(self) -> int:
        return len(self.spans)

    def name(self, row: int) -> str:
        """What a person finds the record by."""
        return f"{self.path.name} row {row + 1}" if self.is_list else f"{self.path.name} line {self.spans[row][2]}"

    def __getitem__(self, row: int) -> dict[str, Any]:
        start, end, _ = (int(one) for one in self.spans[row])
        handle = os.open(self.path, os.O_RDONLY)
        try:
            data = os.pread(handle, end - start, start)
        finally:
            os.close(handle)
        try:
            record = json.loads(data)
        except RecursionError as error:
            raise RowError("it is not valid JSON: too deep") from error
        except ValueError as error:
            raise RowError(f"it is not valid JSON: {getattr(error, 'msg', 'not UTF-8')}") from error
        if not isinstance(record, dict):
            raise RowError("it is not a JSON object")
        return record

    def _of_lines(self, data: bytes, begin: int) -> np.ndarray:
        """First byte, end and number of every line that is not blank."""
        spans, start = [], begin
        for number, line in enumerate(data[begin:].split(b"\n"), 1):
            if line.strip():
                spans.append((start, start + len(line), number))
            start += len(line) + 1
        return np.array(spans, np.int64)

    def _of_list(self, data: bytes, begin: int) -> np.ndarray:
        """First byte, end and number of the list's elements."""
        try:
            text = data[begin:].decode()
        except UnicodeDecodeError as error:
            line = data[: begin + error.start].count(b"\n") + 1
            raise ValueError(f"the data {self.path} is not UTF-8 at line {line}") from error
        # Bytes are counted along, since characters differ in length.
        spans, place, counted, offset = [], text.index("[") + 1, 0, begin
        plain = text.isascii()

        def bytes_at(character: int) -> int:
            nonlocal counted, offset
            offset += character - counted if plain else len(text[counted:character].encode())
            counted = character
            return offset

        try:
            while True:
                place = _after_blanks(text, place)
                if text[place : place + 1] == "]" and not spans:
                    break
                _, end = _DECODER.raw_decode(text, place)
                start = bytes_at(place)
                spans.append((start, bytes_at(end), len(spans) + 1))
                place = _after_blanks(text, end)
                if text[place : place + 1] == "]":
                    break
                if text[place : place + 1] != ",":
                    raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
                place += 1
        except json.JSONDecodeError as error:
            raise ValueError(f"the data {self.path} is not valid JSON at line {error.lineno}: {error.msg}") from error
        return np.array(spans, np.int64)


def _after_blanks(text: str, place: int) -> int:
    while text[place : place + 1] and text[place] in _BLANK:
        place += 1
    return place
