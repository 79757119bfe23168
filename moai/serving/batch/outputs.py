"""How answers stand in a file: one JSON object a line, or parquet."""

import json
import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

_ROWS_A_GROUP = 1024


def line_of(record: dict) -> bytes:
    """One row as JSON in one line, without its end; halves of surrogate pairs, which UTF-8 lacks, are escaped."""
    try:
        return json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(record).encode()


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Lines as they are."""
    with path.open("wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def write_parquet(path: Path, lines: Iterable[bytes]) -> None:
    """Columns row, id, picture, question, answer, error, words, warnings, timings, and as JSON scene and gates."""
    import pyarrow
    import pyarrow.parquet as parquet

    text = pyarrow.string()
    fields = {"row": pyarrow.int64()} | dict.fromkeys(("id", "picture", "question", "answer", "error", "words"), text)
    fields |= {"warnings": pyarrow.list_(text), "timings": pyarrow.map_(text, pyarrow.float64())}
    schema = pyarrow.schema(fields | {"scene": text, "gates": text})
    lines = iter(lines)
    with path.open("wb") as file:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            while rows := [_flat(json.loads(line)) for line in islice(lines, _ROWS_A_GROUP)]:
                writer.write_table(pyarrow.Table.from_pylist(rows, schema))
        file.flush()
        os.fsync(file.fileno())


def _flat(record: dict) -> dict:
    """A row whose parts are columns; what differs from row to row in shape is JSON."""
    evidence = record.get("evidence", {})
    flat = {name: record.get(name) for name in ("row", "id", "picture", "question", "answer", "error", "warnings")}
    flat["timings"] = list(record.get("timings", {}).items())
    flat["words"] = evidence.get("words")
    for name in ("scene", "gates"):
        flat[name] = json.dumps(evidence[name]) if name in evidence else None
    if flat["id"] is not None and not isinstance(flat["id"], str):
        flat["id"] = json.dumps(flat["id"])
    return {name: _writable(value) if isinstance(value, str) else value for name, value in flat.items()}


def _writable(text: str) -> str:
    """Text that UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode()


WRITERS: dict[str, Callable[[Path, Iterable[bytes]], None]] = {"jsonl": write_lines, "parquet": write_parquet}
"""By the format that is asked for."""
