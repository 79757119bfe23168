"""What clients send: the body of `/v1/chat/completions`, checked, and as the assistant takes it."""

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from moai.answers import Decoding
from moai.inference.strategies.registry import Deliberation

# Fields of OpenAI's that change nothing here.
_IGNORED = {
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "parallel_tool_calls", "reasoning_effort", "verbosity",
}  # fmt: skip
# Fields of OpenAI's that MoAI does not do, with the values that ask for nothing.
_REFUSED: dict[str, tuple] = {
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class TextPart(_Loose):
    """Words of a message."""

    type: Literal["text"]
    text: str


class ImageUrl(_Loose):
    """Where a picture is: a data: URL, or the address of an allowed host."""

    url: str


class ImagePart(_Loose):
    """The picture of a conversation."""

    type: Literal["image_url"]
    image_url: ImageUrl


class Message(_Loose):
    """One turn; pictures stand in the user's."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]]

    @property
    def text(self) -> str:
        """What the turn says."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def pictures(self) -> list[str]:
        """Addresses of its pictures."""
        parts = [] if isinstance(self.content, str) else self.content
        return [part.image_url.url for part in parts if isinstance(part, ImagePart)]


class StreamOptions(_Loose):
    """Whether the last chunk of a stream counts tokens."""

    include_usage: bool = False


class Extras(_Strict):
    """MoAI's own: `experts` that look (names, as a list or separated by commas; all by default), `moai` False for the
    plain backbone, and `evidence` that the reply holds under `moai`. The rest is that of
    `moai.inference.strategies.registry.Deliberation`: `samples` drafts that vote, or a contrast."""

    experts: list[str] | str | None = None
    moai: bool = True
    evidence: bool | list[Literal["scene", "gates", "timings", "drafts", "experts"]] = False
    samples: int | None = None
    combine: str | None = None
    window: int | None = None
    reserve: int | None = None
    contrast: float | None = None
    weak: str | None = None
    plausible: float | None = None

    @property
    def shown(self) -> tuple[str, ...]:
        """The parts of the evidence that are asked for."""
        if isinstance(self.evidence, bool):
            return ("scene", "gates", "timings", "drafts", "experts") if self.evidence else ()
        return tuple(self.evidence)

    @property
    def deliberation(self) -> dict[str, Any]:
        """What of it says how an answer comes about."""
        named = (one.name for one in fields(Deliberation))
        return {name: value for name in named if (value := getattr(self, name)) is not None}


class ChatRequest(_Strict):
    """A conversation to go on with; temperature 0, the default, is greedy."""

    messages: list[Message] = Field(min_length=1)
    model: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    moai: Extras = Extras()

    @model_validator(mode="before")
    @classmethod
    def _others(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        for name, harmless in _REFUSED.items():
            value = body.get(name)
            if value is not None and value not in harmless:
                raise ValueError(f"{name} is not supported here; leave it out")
        return {name: value for name, value in body.items() if name not in _IGNORED and name not in _REFUSED}

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return 1 if self.n is None else self.n

    @property
    def picture(self) -> str | None:
        """The address of the conversation's picture. Raises ValueError for several, or one that is not the user's."""
        found = dict.fromkeys(url for message in self.messages for url in message.pictures)
        if len(found) > 1:
            raise ValueError(f"a conversation is about one picture here, but this one has {len(found)}")
        if any(message.pictures and message.role != "user" for message in self.messages):
            raise ValueError("a picture must stand in a message of the user")
        return next(iter(found), None)

    def decoding(self, longest: int) -> Decoding:
        """How answers are worded. Raises ValueError with one sentence for what is not allowed."""
        given = {"temperature": self.temperature, "top_p": self.top_p, "stop": self.stop}
        asked = self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens
        if asked is not None and asked > longest:
            raise ValueError(f"max_tokens is {asked}; answers have up to {longest} here")
        if self.seed is not None:
            given["seed"] = self.seed % 2**63
        if asked is not None and asked < 1:
            raise ValueError(f"max_tokens is {asked}; allowed is 1 to {longest}")
        known = {name: value for name, value in given.items() if value is not None}
        return Decoding(**({} if asked is None else {"max_new_tokens": asked}), **known, **self.moai.deliberation)

    def conversation(self) -> list[dict[str, str]]:
        """Messages as the assistant takes them; system texts at the beginning are one."""
        turns = list(self.messages)
        told = []
        while turns and turns[0].role in ("system", "developer"):
            told.append(turns.pop(0).text)
        messages = [{"role": message.role, "content": message.text} for message in turns]
        text = "\n".join(told).strip()
        return [{"role": "system", "content": text}, *messages] if text else messages


def parsed(body: bytes) -> ChatRequest:
    """The request in a body of JSON. Raises ValueError with one sentence for anything else."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise ValueError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    # Of a union the errors of all its kinds are listed; the deepest is that of the kind that was meant.
    worst = max(error.errors(include_url=False), key=lambda one: len(one["loc"]))
    place, before = "", None
    for step in worst["loc"]:
        # The kinds of a union are steps as well, named after the kind.
        if step != before and step not in ("str", "bool") and not str(step).startswith("list["):
            place += f"[{step}]" if isinstance(step, int) else f".{step}"
        before = step
    place = place.lstrip(".")
    message = worst["msg"].removeprefix("Value error, ")
    if worst["type"] == "json_invalid":
        return f"the body is not JSON: {message.removeprefix('Invalid JSON: ')}"
    if worst["type"] == "extra_forbidden":
        return f"unrecognised field {place}; leave it out"
    return f"{place}: {message[:1].lower()}{message[1:]}" if place else message
