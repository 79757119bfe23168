"""Conversations that stand in a file of records, with their pictures in a folder."""

from pathlib import Path

from moai.data.conversations.conversation import Conversation
from moai.data.conversations.folder import Folder
from moai.data.conversations.records import Records


class InFile:
    """Rows of `file`; pictures are looked for in the folder `images`, by default beside the file."""

    def __init__(self, file: str | Path, images: str | Path | None = None) -> None:
        self.records = Records(file)
        self.folder = Folder(self.records.path.parent if images is None else images)

    def __len__(self) -> int:
        return len(self.records)

    def name(self, row: int) -> str:
        """The file's row or line."""
        return self.records.name(row)

    def check(self, row: int) -> Conversation:
        """The row, with a picture that is known to be there."""
        return self[row]

    def __getitem__(self, row: int) -> Conversation:
        """The conversation of a row; raises RowError for one that cannot be used."""
        raise NotImplementedError
