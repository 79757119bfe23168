"""What a batch asks: rows of a folder of pictures, a file of JSON lines or parquet, found without holding them."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PICTURE_COLUMNS = ("picture", "image")
_KNOWN = ("question", "id", *PICTURE_COLUMNS)


@dataclass(frozen=True)
class Row:
    """One question about a picture: `picture` as `load_image` takes it, `shown` its name where it has one.

    `error` is the sentence of a row that cannot be asked.
    """

    number: int
    picture: str | bytes | None = None
    question: str | None = None
    id: Any = None
    shown: str | None = None
    error: str | None = None


class Unit(Protocol):
    """`count` rows from number `first` on that one task reads; small, since the rows stay where they are."""

    @property
    def first(self) -> int:
        """Number of its first row."""

    @property
    def count(self) -> int:
        """How many there are."""

    def rows(self) -> Iterator[Row]:
        """The rows, in order. Raises ValueError with one sentence when the file is gone or another."""


@dataclass(frozen=True)
class Source:
    """`count` rows in the order of `units`; `digest` differs for other rows."""

    kind: str
    count: int
    digest: str
    units: Sequence[Unit]


def source_of(path: str | Path, question: str | None = None, images: str | Path | None = None, lot: int = 16) -> Source:
    """The rows of a folder of pictures, of a .jsonl or .parquet file, or of a folder of parquet files.

    `question` is asked where a row has none; relative pictures lie in `images`, by default beside the file. About `lot`
    rows are a unit. Raises ValueError with one sentence for what cannot be read and for what has no rows.
    """
    place = Path(path).expanduser().absolute()
    beside = place.parent if images is None else Path(images).expanduser().absolute()
    defaults = Defaults(question, str(beside))
    if place.is_dir():
        shards = sorted(place.glob("*.parquet"))
        return _of_parquet(shards, defaults) if shards else _of_folder(place, defaults, lot)
    if not place.is_file():
        raise ValueError(f"there is no {path}; give a folder of pictures, a .jsonl or a .parquet file")
    if place.suffix.lower() == ".parquet":
        return _of_parquet([place], defaults)
    if place.suffix.lower() in (".jsonl", ".ndjson"):
        return _of_lines(place, defaults, lot)
    raise ValueError(f"{path} is not a kind that is read; give a folder of pictures, a .jsonl or a .parquet file")


@dataclass(frozen=True)
class Defaults:
    """What a row takes where it says nothing: the question, and the folder of relative pictures."""

    question: str | None
    images: str

    def row(self, number: int, record: Mapping[str, Any]) -> Row:
        """The row of a record with `picture` (or `image`), `question` and `id`."""
        given = next((record[name] for name in PICTURE_COLUMNS if record.get(name) is not None), None)
        if isinstance(given, Mapping):  # a picture as the hub's data sets keep it
            given = given.get("bytes") or given.get("path")
        question = record.get("question") or self.question
        name = record.get("id")
        known: dict[str, Any] = {"id": name if isinstance(name, (str, int, float, type(None))) else str(name)}
        if isinstance(given, str):
            known["shown"] = given if not given.lower().startswith("data:") else None
        if isinstance(question, str):
            known["question"] = question
        if not isinstance(given, (str, bytes)) or not given:
            return Row(number, error='the row has no picture; "picture" must be a path, a data: URL or bytes', **known)
        if not isinstance(question, str) or not question.strip():
            return Row(number, error='the row has no question; give it a "question", or all a --question', **known)
        if known.get("shown") is not None and "://" not in given:
            given = os.path.join(self.images, os.path.expanduser(given))
        return Row(number, given, **known)


@dataclass(frozen=True)
class Names:
    """Pictures of a folder."""

    first: int
    names: tuple[str, ...]
    defaults: Defaults

    @property
    def count(self) -> int:
        """How many pictures."""
        return len(self.names)

    def rows(self) -> Iterator[Row]:
        """One for each picture."""
        for number, name in enumerate(self.names, self.first):
            yield self.defaults.row(number, {"picture": name})


def _of_folder(folder: Path, defaults: Defaults, lot: int) -> Source:
    from moai.data.pictures import pictures_in

    if defaults.question is None:
        raise ValueError("say with --question what is asked about the pictures of a folder")
    found = [one for _, one in pictures_in(folder)]
    digest = hashlib.blake2b(digest_size=8)
    names = []
    for one in found:
        names.append(one.relative_to(folder).as_posix())
        digest.update(f"{names[-1]}\0{one.stat().st_size}\n".encode("utf-8", "surrogateescape"))
    here = Defaults(defaults.question, str(folder))
    units = [Names(start, tuple(names[start : start + lot]), here) for start in range(0, len(names), lot)]
    return Source("folder", len(names), digest.hexdigest(), units)


@dataclass(frozen=True)
class Lines:
    """`count` lines of a file of JSON lines from byte `offset` on, which is line `line` (from 1)."""

    path: str
    offset: int
    line: int
    first: int
    count: int
    defaults: Defaults

    def rows(self) -> Iterator[Row]:
        """One for each line that is not blank; one that is no JSON object is an error."""
        number, name = self.first, Path(self.path).name
        with _opened(self.path) as file:
            file.seek(self.offset)
            for line, data in enumerate(file, self.line):
                if number == self.first + self.count:
                    return
                if not data.strip():
                    continue
                try:
                    record = json.loads(data.decode("utf-8-sig"))
                    broken = None if isinstance(record, dict) else "is not a JSON object"
                except ValueError as error:
                    broken = f"is not valid JSON ({getattr(error, 'msg', 'not UTF-8')})"
                except RecursionError:
                    broken = "is nested too deeply"
                if broken:
                    yield Row(number, error=f"line {line} of {name} {broken}")
                else:
                    yield self.defaults.row(number, record)
                number += 1
        if number < self.first + self.count:
            raise ValueError(f"{self.path} has become shorter since the batch began")


def _of_lines(path: Path, defaults: Defaults, lot: int) -> Source:
    digest = hashlib.blake2b(digest_size=8)
    starts: list[tuple[int, int]] = []
    offset = count = 0
    with _opened(path) as file:
        for line, data in enumerate(file, 1):
            digest.update(data)
            if data.strip():
                if count % lot == 0:
                    starts.append((offset, line))
                count += 1
            offset += len(data)
    if not count:
        raise ValueError(f"{path} holds no rows; give one JSON object a line")
    units = [
        Lines(str(path), offset, line, lot * index, min(lot, count - lot * index), defaults)
        for index, (offset, line) in enumerate(starts)
    ]
    return Source("jsonl", count, digest.hexdigest(), units)


@dataclass(frozen=True)
class Group:
    """One row group of a parquet file, `first` the number of its first row."""

    path: str
    group: int
    first: int
    count: int
    defaults: Defaults

    def rows(self) -> Iterator[Row]:
        """One for each of its rows, read a few at a time."""
        import pyarrow.parquet as parquet

        try:
            with parquet.ParquetFile(self.path) as file:
                columns = [name for name in file.schema_arrow.names if name in _KNOWN]
                number = self.first
                for batch in file.iter_batches(16, [self.group], columns, use_threads=False):
                    for record in batch.to_pylist():
                        yield self.defaults.row(number, record)
                        number += 1
        except OSError as error:
            raise ValueError(f"{self.path} cannot be read: {error}") from error


def _of_parquet(paths: Sequence[Path], defaults: Defaults) -> Source:
    import pyarrow
    import pyarrow.parquet as parquet

    digest = hashlib.blake2b(digest_size=8)
    units: list[Unit] = []
    count = 0
    for path in paths:
        try:
            with parquet.ParquetFile(path) as file:
                there, metadata = file.schema_arrow.names, file.metadata
                digest.update(repr((path.name, path.stat().st_size, metadata.to_dict())).encode())
        except (OSError, pyarrow.ArrowException) as error:
            raise ValueError(f"{path} cannot be read as parquet: {str(error).splitlines()[0]}") from error
        if not any(name in there for name in PICTURE_COLUMNS):
            raise ValueError(f'{path} has the columns {", ".join(there)}; it needs "picture" (or "image")')
        if "question" not in there and defaults.question is None:
            raise ValueError(f'{path} has no column "question"; say with --question what is asked')
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if rows:
                units.append(Group(str(path), group, count, rows, defaults))
            count += rows
    if not count:
        raise ValueError(f"{paths[0]} holds no rows")
    return Source("parquet", count, digest.hexdigest(), units)


def _opened(path: str | Path):
    try:
        return open(path, "rb")
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror or 'input error'})") from error
