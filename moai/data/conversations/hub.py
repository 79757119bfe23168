"""Data sets of the hub and local parquet, JSON or picture folders, read by the library `datasets`."""

from itertools import islice
from pathlib import Path
from typing import Any

from moai.data.conversations.conversation import Conversation
from moai.data.conversations.folder import Folder
from moai.data.conversations.messages import chat

_FORMATS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".csv": "csv", ".arrow": "arrow"}
_TALKS = ("messages", "conversations")
_PICTURES = ("image", "images")


class Hub:
    """Rows of a data set: `path` is a name on the hub, a file (parquet, JSON, CSV) or a folder, as
    `datasets.load_dataset` takes it, with `config`, `split` and `revision`.

    Of its columns, `messages` (or `conversations`, also in LLaVA's form) is read as a conversation; without either, the
    columns `question` and `answer`. `image` names the column of the picture, by default image or images. Pictures that
    are paths are looked for in the folder `images`. Raises ValueError with one sentence for a data set that cannot be
    loaded and for columns that are not there.
    """

    def __init__(
        self,
        path: str | Path,
        split: str = "train",
        config: str | None = None,
        revision: str | None = None,
        messages: str | None = None,
        question: str = "question",
        answer: str = "answer",
        image: str | None = None,
        images: str | Path | None = None,
    ) -> None:
        self.path, self.split = str(path), split
        self.data = _loaded(self.path, split, config, revision)
        self.talk = self._column(messages, _TALKS)
        self.question, self.answer = (None, None) if self.talk else (self._column(question), self._column(answer))
        self.image = self._column(image, _PICTURES)
        self.folder = Folder(images or _beside(Path(path).expanduser()))
        texts = [name for name in (self.talk, self.question, self.answer) if name is not None]
        self.texts = self.data.select_columns(texts)
        self.names = [] if self.image is None else _picture_names(self.data.data.column(self.image))

    def _column(self, given: str | None, usual: tuple[str, ...] = ()) -> str | None:
        """The column that is asked for, or the usual one that is there."""
        columns = self.data.column_names
        if given is not None and given not in columns:
            raise ValueError(f"the data set {self.path} has no column {given!r}; it has {', '.join(columns)}")
        return given or next((name for name in usual if name in columns), None)

    def __len__(self) -> int:
        return len(self.data)

    def name(self, row: int) -> str:
        """The data set's row."""
        return f"{self.path} {self.split} row {row + 1}"

    def check(self, row: int) -> Conversation:
        """The row, with the name of its picture in the picture's place."""
        names = self.names[row] if self.names else []
        return self._conversation(row, self.texts[row], [{"bytes": b"", "path": name} for name in names])

    def __getitem__(self, row: int) -> Conversation:
        record = self.data[row]
        given = None if self.image is None else record[self.image]
        return self._conversation(row, record, given if isinstance(given, list) else [] if given is None else [given])

    def _conversation(self, row: int, record: dict[str, Any], pictures: list[Any]) -> Conversation:
        if self.talk is None:
            asked, said = (_first(record[name]) for name in (self.question, self.answer))
            messages: Any = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
        else:
            messages = record[self.talk]
            if isinstance(messages, list) and messages and isinstance(messages[0], dict) and "from" in messages[0]:
                messages = [{"role": one.get("from"), "content": one.get("value")} for one in messages]
        return chat(messages, pictures, self.folder.find, f"row {row}")


def _beside(path: Path) -> Path:
    """Where pictures are looked for that are named in a file or folder; here, for a data set of the hub."""
    return path if path.is_dir() else path.parent if path.is_file() else Path()


def _first(value: Any) -> Any:
    """Of several answers to a question, the first."""
    return value[0] if isinstance(value, list) and value else value


def _loaded(path: str, split: str, config: str | None, revision: str | None):
    """The data set, its pictures left encoded."""
    try:
        from datasets import Image, List, load_dataset
    except ImportError as error:
        raise ValueError("the data source 'hub' needs the package datasets: pip install 'moai-vlm[data]'") from error
    local = Path(path).expanduser()
    files = {"path": _FORMATS[local.suffix], "data_files": str(local)} if local.suffix in _FORMATS else {"path": path}
    if local.suffix in _FORMATS and not local.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        data = load_dataset(**files, name=config, split=split, revision=revision)
        for name, feature in data.features.items():
            if isinstance(feature, Image):
                data = data.cast_column(name, Image(decode=False))
            elif isinstance(feature, List) and isinstance(feature.feature, Image):
                data = data.cast_column(name, List(Image(decode=False)))
    except Exception as error:  # of the library, of the network and of the data, which share no base
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"the data set {path} cannot be loaded: {told}") from error
    return data


def _picture_names(column: Any) -> list[list[str]]:
    """For each row the names of its pictures, read without the pictures themselves: their paths and sizes, or, of
    those without a path, a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: list[list[str]] = []
    for chunk in column.chunks:
        listed = pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type)
        values = chunk.flatten() if listed else chunk
        if pa.types.is_struct(values.type):
            sizes = pc.binary_length(pc.struct_field(values, "bytes")).to_pylist()
            paths = pc.struct_field(values, "path").to_pylist()
            names = [
                f"{path} {size}" if path else None if size is None else f"picture {len(found) + number}"
                for number, (path, size) in enumerate(zip(paths, sizes, strict=True))
            ]
        else:
            names = values.to_pylist()
        if listed:
            counts = pc.fill_null(pc.list_value_length(chunk), 0).to_pylist()
            each = iter(names)
            found += [[name for name in islice(each, count) if name is not None] for count in counts]
        else:
            found += [[] if name is None else [name] for name in names]
    return found
