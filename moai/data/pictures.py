"""The pictures of a folder, of a file of conversations, or of an experiment's data, each once."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moai.data.conversations.conversation import Conversations, RowError
from moai.data.conversations.records import Records
from moai.data.conversations.source import usable_rows
from moai.data.registry import CONVERSATIONS, conversations, open_conversations
from moai.data.skipped import Skipped

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2", ".ppm", ".ico"}
"""Of files in a folder that are taken for pictures."""
_KEYS = {"conversations": "llava", "messages": "messages"}
"""Which form of conversations a row's key tells."""


class Pictures:
    """Names of pictures, each with what `load_image` takes; rows that cannot be used are listed in `skipped`."""

    def __init__(self, sources: Sequence[Conversations]) -> None:
        self.skipped = Skipped("rows skipped")
        self.places: list[tuple[Conversations, int]] = []
        for source in sources:
            rows, groups = usable_rows(source, self.skipped, text_alone=False)
            first = dict(zip(reversed(groups.tolist()), reversed(rows.tolist()), strict=True))
            self.places += [(source, row) for row in sorted(first.values())]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for source, row in self.places:
            try:
                picture = source[row].picture
            except RowError as error:
                self.skipped.note(source.name(row), str(error))
                continue
            yield str(picture) if isinstance(picture, Path) else source.name(row), picture


def pictures_in(path: str | Path) -> list[tuple[str, Path]]:
    """The pictures of a folder and those below, in the order of their names; raises ValueError when there is none."""
    folder = Path(path).expanduser()
    found = sorted(one for one in folder.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
    if not found:
        raise ValueError(
            f"there is no picture in {folder}; files that end in {', '.join(sorted(SUFFIXES))} are looked for"
        )
    return [(str(one), one) for one in found]


def pictures_of_file(path: str | Path, images: str | Path | None = None) -> Pictures:
    """The pictures of LLaVA's JSON or of chat messages; `images` is their folder, by default that of the file.

    Raises ValueError with one sentence for a file in which there are none.
    """
    records = Records(path)
    for row in range(len(records)):
        try:
            record = records[row]
        except RowError:
            continue
        for key, name in _KEYS.items():
            if key in record:
                return Pictures([conversations(name)(file=path, images=images)])
    raise ValueError(f'{path} holds no conversations; its rows need "conversations" (LLaVA\'s) or "messages"')


def pictures_of_data(data: Sequence[Mapping[str, Any]]) -> Pictures:
    """The pictures of an experiment's sources that are conversations; raises ValueError when none is."""
    opened = [open_conversations(one) for one in data if one.get("name") in CONVERSATIONS]
    if not opened:
        names = ", ".join(str(one.get("name")) for one in data)
        raise ValueError(f"none of the sources {names} has pictures to look at; {', '.join(CONVERSATIONS)} have")
    return Pictures(opened)
