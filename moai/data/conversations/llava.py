"""LLaVA's JSON: {"id", "image", "conversations": [{"from": "human" or "gpt", "value"}]}, pictures in a folder."""

from typing import Any

from moai.data.conversations.conversation import Conversation, RowError, messages_of, only
from moai.data.conversations.in_file import InFile


class Llava(InFile):
    """Rows of `file`, a JSON list or one object a line; their pictures are looked for in the folder `images`, by
    default beside the file. Rows without a picture are text alone."""

    def __getitem__(self, row: int) -> Conversation:
        record = self.records[row]
        spoken = record.get("conversations")
        if not isinstance(spoken, list) or not all(isinstance(one, dict) for one in spoken):
            raise RowError('it has no list "conversations" of {"from", "value"}')
        given = record.get("image")
        picture: Any = only(given) if isinstance(given, list) else given or None
        pairs = [(one.get("from"), one.get("value")) for one in spoken]
        messages = messages_of(pairs, picture is not None)
        if picture is None:
            return Conversation(None, f"row {row}", messages)
        if not isinstance(picture, str):
            raise RowError(f'its "image" is {type(picture).__name__}, not the name of a file')
        return Conversation(self.folder.find(picture), picture, messages)
