"""Chat messages with pictures, one JSON object a line, as TRL's fine-tuning of vision models takes them.

{"messages": [{"role", "content": text or [{"type": "image"}, {"type": "text", "text"}]}], "images": [path or
{"bytes", "path"}]}; a part {"type": "image", "image": path} names its picture itself.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from moai.data.conversations.conversation import Conversation, RowError, messages_of, only
from moai.data.conversations.in_file import InFile

_OWN_PICTURE = ("image", "path", "url")
"""Keys by which a part of a message names its picture."""


class Messages(InFile):
    """Rows of `file`; pictures are looked for in the folder `images`, by default beside the file."""

    def __getitem__(self, row: int) -> Conversation:
        record = self.records[row]
        given = record.get("images", record.get("image"))
        pictures = given if isinstance(given, list) else [] if given is None else [given]
        return chat(record.get("messages"), pictures, self.folder.find, f"row {row}")


def chat(messages: Any, pictures: list[Any], find: Callable[[str], Any], row: str) -> Conversation:
    """A conversation of chat messages and the pictures beside them; `find` gives the picture of a name and `row` names
    a row whose picture has no name. Raises RowError for what is no conversation about one picture."""
    if not isinstance(messages, list) or not all(isinstance(one, Mapping) for one in messages):
        raise RowError('it has no list "messages" of {"role", "content"}')
    pictures, spoken = list(pictures), []
    for message in messages:
        text, own = _content(message.get("content"))
        pictures += own
        spoken.append((message.get("role"), text))
    given = only(pictures)
    told = messages_of(spoken, given is not None)
    if given is None:
        return Conversation(None, row, told)
    return Conversation(*located(given, find, row), told)


def located(given: Any, find: Callable[[str], Any], row: str) -> tuple[Any, str]:
    """What `load_image` takes of a picture given as a path, a data: URL, bytes or {"bytes", "path"}, and its name."""
    if isinstance(given, Mapping):
        data, path = given.get("bytes"), given.get("path")
        if data is None and isinstance(path, str):
            return find(path), path
        if isinstance(data, str):
            try:
                data = base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError) as error:
                raise RowError("the bytes of its picture are not valid base64") from error
        if isinstance(data, bytes):
            return data, path if isinstance(path, str) else hashlib.blake2b(data, digest_size=16).hexdigest()
    elif isinstance(given, str) and given.startswith("data:"):
        return given, hashlib.blake2b(given.encode(), digest_size=16).hexdigest()
    elif isinstance(given, str):
        return find(given), given
    raise RowError(f'its picture is {type(given).__name__}; allowed are a path and {{"bytes", "path"}}')


def _content(content: Any) -> tuple[Any, list[Any]]:
    """Text of a message's content, and the pictures that its parts name themselves."""
    if not isinstance(content, list):
        return content, []
    texts, pictures = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind in ("image", "image_url"):
            own = next((part[key] for key in (*_OWN_PICTURE, "image_url") if part.get(key)), None)
            if own is not None:
                pictures.append(own.get("url") if kind == "image_url" and isinstance(own, Mapping) else own)
        else:
            raise RowError(f"it has a part of type {kind!r}; allowed are text and image")
    return "\n".join(texts), pictures
