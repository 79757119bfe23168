"""One conversation about a picture, whatever file it comes from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
"""What files call those who speak, and what a model calls them."""
PLACEHOLDER = "<image>"


class RowError(ValueError):
    """A row that cannot be trained on; the message says why in one sentence."""


@dataclass(frozen=True)
class Conversation:
    """`picture`: what `perception.load_image` takes, or None for text alone; `group`: the picture's name, by which rows
    of the same picture are held out together. `messages`: dicts with `role` and `content`, see `messages_of`."""

    picture: Any | None
    group: str
    messages: list[dict[str, str]]


class Conversations(Protocol):
    """Numbered rows, each a conversation. A row that cannot be used raises RowError."""

    def __len__(self) -> int: ...

    def name(self, row: int) -> str:
        """What a person finds the row by."""
        ...

    def check(self, row: int) -> Conversation:
        """The row without the pixels of its picture: `picture` may be any path or True where reading it costs."""
        ...

    def __getitem__(self, row: int) -> Conversation: ...


def messages_of(spoken: Iterable[tuple[Any, Any]], with_picture: bool) -> list[dict[str, str]]:
    """Messages of pairs of speaker and text: an optional system message, then user and assistant in turns.

    What the assistant says before the first question and what is asked after the last answer is left out, and so are,
    `with_picture`, the placeholders of it. Raises RowError when no answer is left or two speak twice in a row.
    """
    messages = []
    for speaker, text in spoken:
        role = ROLES.get(speaker) if isinstance(speaker, str) else None
        if role is None:
            raise RowError(f"it has a message of {speaker!r}; allowed are {', '.join(ROLES)}")
        if not isinstance(text, str):
            raise RowError(f"it has a message that is {type(text).__name__}, not text")
        if with_picture:
            text = text.replace(f"{PLACEHOLDER}\n", "").replace(f"\n{PLACEHOLDER}", "").replace(PLACEHOLDER, "")
        messages.append({"role": role, "content": text.strip()})
    system, rest = (messages[:1], messages[1:]) if messages and messages[0]["role"] == "system" else ([], messages)
    while rest and rest[0]["role"] == "assistant":
        rest = rest[1:]
    while rest and rest[-1]["role"] != "assistant":
        rest = rest[:-1]
    if not rest:
        raise RowError("it has no answer to a question")
    for number, message in enumerate(rest):
        if message["role"] != ("user", "assistant")[number % 2]:
            raise RowError(
                f"after its message {number}, {message['role']} speaks out of turn; user and assistant alternate"
            )
        if message["role"] == "assistant" and not message["content"]:
            raise RowError("it has an empty answer")
    return system + rest


def only(pictures: Sequence[Any]) -> Any | None:
    """The one picture of a row, None for none; raises RowError for several, which the model does not take."""
    if len(pictures) > 1:
        raise RowError(f"it has {len(pictures)} pictures, and the model takes one")
    return pictures[0] if pictures else None
