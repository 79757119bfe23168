"""How a conversation becomes token ids: in a fixed style, or by a language model's own chat template."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from reprlib import repr
from typing import Any

from jinja2 import TemplateError
from tokenizers import Tokenizer

SYSTEM = "AI assistant should give helpful and detailed answers to user after fully understanding an image."
CHAT = "chat"
"""The prompt style that is the tokenizer's chat template."""
ROLES = ("system", "user", "assistant")
"""Who may speak in a conversation."""
_PROBES = ("Where", "Is it")
"""Two questions that begin and end differently: what their prompts share stands around any question."""
_STAND_IN = "\ue000{}\ue001"
"""Stands for a message while the template is filled in; private characters, which no text has."""


@dataclass(frozen=True)
class PromptStyle:
    """How a conversation is written: `question` and `answer` are format strings; generation stops at `stop`.

    `system` is what stands before the picture. With `begins`, prompt and verbalised scene open with the
    beginning-of-sequence token where the tokenizer has one, as the authors' opens every text.
    """

    question: str
    answer: str
    stop: str | None
    system: str = SYSTEM
    begins: bool = False


PROMPT_STYLES = {
    "plain": PromptStyle(" USER: {} ASSISTANT:", " {}", None),
    "reference_demo": PromptStyle(" USER: {} ASSISTANT:", " {}", "[U", f"{SYSTEM} ", begins=True),
    "reference_evaluation": PromptStyle(
        " [UNUSED_TOKEN_146]user\n{}[UNUSED_TOKEN_145]\n[UNUSED_TOKEN_146]assistant\n",
        "{}[UNUSED_TOKEN_145]\n",
        "[U",
        f"{SYSTEM} ",
        begins=True,
    ),
    CHAT: PromptStyle("{}", "{}", None),
}


def aggregate_question(question: str, drafts: Sequence[str], best: str | None = None, reserve: int = 0) -> str:
    """The user's turn that asks for one answer out of several: the drafts numbered, the question last.

    `best`, the answer so far, stands in front, `reserve` times.
    """
    answers = [best] * reserve if best is not None else []
    answers += drafts
    listed = "\n".join(f"{number}. {' '.join(answer.split())}" for number, answer in enumerate(answers, 1))
    return (
        f"Here are {len(answers)} answers to the question below, of which some may be wrong. Weigh them against what "
        f"you see, do not just repeat one, and give a single correct answer.\n{listed}\nQuestion: {question}"
    )


def plain_text_ids(tokenizer, text: str) -> list[int]:
    """Token ids of `text`, no special tokens added; what looks like one in the text is read as plain letters.

    Half of a character (a lone surrogate) is read as U+FFFD."""
    if not text.isascii():
        text = whole_characters(text)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    # Training reads millions of short texts; the wrapper around the backend would take three times as long.
    if not backend.encode_special_tokens:  # not written in vain, as other threads may be reading
        backend.encode_special_tokens = True
    return backend.encode(text, add_special_tokens=False).ids


def whole_characters(text: str) -> str:
    """The text with U+FFFD for half of a character (a lone surrogate)."""
    # The two halves of a character that come one after the other are joined.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def check_messages(messages: Sequence[Mapping], last: str) -> None:
    """Raises ValueError with one sentence unless messages are dicts with a role of `ROLES` and a text as content,
    "system" only to begin with, and `last` the role of the last."""
    if not isinstance(messages, Sequence) or isinstance(messages, (str, bytes)):
        kind = type(messages).__name__
        raise ValueError(f"a conversation must be a list of messages, each with a role and a content, not {kind}")
    for message in messages:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            raise ValueError(f"each message needs a role and a content, both text; got {repr(message)}")
    if not messages or messages[-1].get("role") != last:
        raise ValueError(f"a conversation must end with a message of the {last}")
    for number, message in enumerate(messages):
        role = message.get("role")
        if role not in ROLES:
            raise ValueError(f"unknown role {repr(role)}; allowed are {' and '.join(ROLES)}")
        if role == "system" and number:
            raise ValueError("a system message must be the first of its conversation")


def without_system(messages: Sequence[Mapping]) -> Sequence[Mapping]:
    """Checked messages with the system message, if there is one, on lines of its own before the first question."""
    if messages[0]["role"] != "system":
        return messages
    system, *turns = messages
    if system["content"].strip():
        asked = next(number for number, message in enumerate(turns) if message["role"] == "user")
        turns[asked] = {**turns[asked], "content": f"{system['content']}\n{turns[asked]['content']}"}
    return turns


class ChatTemplate:
    """Conversations as a language model's own template writes them, the picture before the first question.

    `num_image_tokens` image tokens stand for the picture. `options` go to the template, such as `enable_thinking`.
    Raises ValueError for a tokenizer without a template.
    """

    def __init__(self, tokenizer, image_token: str, num_image_tokens: int, options: Mapping[str, Any] | None = None):
        if not tokenizer.chat_template:
            raise ValueError(
                "the tokenizer has no chat template; take one that has one, or the prompt style plain "
                "(USER: ... ASSISTANT:)"
            )
        self.tokenizer, self.image_token, self.num_image_tokens = tokenizer, image_token, num_image_tokens
        self.options = dict(options or {})
        self._image_id = tokenizer.convert_tokens_to_ids(image_token)
        special = {str(one): number for number, one in tokenizer.added_tokens_decoder.items() if one.special}
        self._special_ids = frozenset(special.values())
        self._special = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))) or r"(?!)")
        backend = getattr(tokenizer, "backend_tokenizer", None)
        # A copy, since whether special tokens are read as such is a switch of the whole tokenizer.
        self._reader = None if backend is None else Tokenizer.from_str(backend.to_str())
        if self._reader is not None:
            self._reader.encode_special_tokens = False
            self._reader.no_truncation()
            self._reader.no_padding()
        self._prefixes = {with_image: self._prefix(with_image) for with_image in (False, True)}

    def conversation_ids(self, messages: Sequence[Mapping], with_image: bool, answering: bool = True) -> list[int]:
        """Token ids of checked messages; with `answering` up to the place where the next answer begins."""
        messages = messages if self.takes_system else without_system(messages)
        texts = [whole_characters(message["content"]) for message in messages]
        asked = next(number for number, message in enumerate(messages) if message["role"] == "user")
        letters = any(self._special.search(text) for text in texts)
        contents = [_STAND_IN.format(number) for number in range(len(texts))] if letters else list(texts)
        if with_image:
            contents[asked] = f"{self.image_token}\n{contents[asked]}"
        filled = self._filled(
            [{**message, "content": content} for message, content in zip(messages, contents, strict=True)], answering
        )
        ids: list[int] = []
        # What looks like a special token in a message is read as letters, apart from the template's own.
        for number, piece in enumerate(re.split(_STAND_IN.format(r"(\d+)"), filled) if letters else [filled]):
            ids += plain_text_ids(self.tokenizer, texts[int(piece)]) if number % 2 else self._read(piece)
        if not with_image:
            return ids
        return [one for id in ids for one in ([id] * self.num_image_tokens if id == self._image_id else [id])]

    @cached_property
    def takes_system(self) -> bool:
        """Whether the template writes system messages; some refuse them, some leave them out."""
        system, question = (_STAND_IN.format(number) for number in range(2))
        try:
            return system in self._filled([{"role": "system", "content": system}, _asked(question)], True)
        except ValueError:
            return False

    def _filled(self, messages: list[dict], answering: bool) -> str:
        try:
            return self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=answering, **self.options
            )
        except TemplateError as error:
            raise ValueError(f"the model's chat template refuses the conversation: {error}") from error

    def _read(self, text: str) -> list[int]:
        if self._reader is None:
            return self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._reader.encode(text, add_special_tokens=False).ids

    def _prefix(self, with_image: bool) -> list[int]:
        first, second = (self.conversation_ids([_asked(probe)], with_image) for probe in _PROBES)
        return first[: _shared(first, second)]

    def prefix_ids(self, with_image: bool) -> list[int]:
        """What stands before the first question."""
        return list(self._prefixes[with_image])

    def question_ids(self, question: str, with_image: bool = True) -> list[int]:
        """The first question and what follows it, up to the place where the answer begins."""
        whole, prefix = self.conversation_ids([_asked(question)], with_image), self._prefixes[with_image]
        if whole[: len(prefix)] == prefix:
            return whole[len(prefix) :]
        first, second = (self.conversation_ids([_asked(probe)], with_image)[::-1] for probe in _PROBES)
        return [*plain_text_ids(self.tokenizer, question), *first[: _shared(first, second)][::-1]]

    def answer_ids(self, answer: str) -> list[int]:
        """An answer with the special token that ends it."""
        ids, answered = self.dialogue_ids([_asked(_PROBES[0]), {"role": "assistant", "content": answer}], False)
        return [id for id, said in zip(ids, answered, strict=True) if said]

    def dialogue_ids(self, messages: Sequence[Mapping], with_image: bool) -> tuple[list[int], list[bool]]:
        """Token ids of a whole conversation, and which of them are those of answers, with what ends each."""
        messages = messages if self.takes_system else without_system(messages)
        ids = self.conversation_ids(messages, with_image, answering=False)
        answered = [False] * len(ids)
        for number, message in enumerate(messages):
            if message["role"] == "assistant":
                start = _shared(ids, self.conversation_ids(messages[:number], with_image))
                end = _shared(ids, self.conversation_ids(messages[: number + 1], with_image, answering=False))
                ends = [place for place in range(start, end) if ids[place] in self._special_ids]
                answered[start : ends[-1] + 1 if ends else end] = [True] * ((ends[-1] + 1 if ends else end) - start)
        if not self._special_ids & {id for id, said in zip(ids, answered, strict=True) if said}:
            return [*ids, self.tokenizer.eos_token_id], [*answered, True]  # a template that does not end its answers
        last = max(place for place, said in enumerate(answered) if said)
        return ids[: last + 1], answered[: last + 1]


def _asked(question: str) -> dict[str, str]:
    return {"role": "user", "content": question}


def _shared(first: Iterable[int], second: Iterable[int]) -> int:
    """How many ids the two begin with in common."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
