"""What clients get: completions, chunks of them and lists, as OpenAI writes them."""

import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

from fastapi.responses import Response

from moai.answers import Answer


class Json(Response):
    """JSON in which halves of characters cannot do harm."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return encoded(content)


def encoded(content: Any) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def event(content: Any) -> bytes:
    """One event of a stream."""
    return b"data: " + encoded(content) + b"\n\n"


DONE = b"data: [DONE]\n\n"


class Completion:
    """One reply, whole or in chunks. `shown` are the parts of the evidence that it holds."""

    def __init__(self, model: str, shown: Sequence[str], with_usage: bool):
        self.shown, self.with_usage = shown, with_usage
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """The reply in one piece."""
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": None,
                "finish_reason": _reason(answer),
            }
            for index, answer in enumerate(answers)
        ]
        reply = {**self._head, "object": "chat.completion", "choices": choices, "usage": usage(answers)}
        return reply | self._extras(answers)

    def piece(self, index: int, text: str, first: bool) -> dict[str, Any]:
        """More words of a choice."""
        delta = {"role": "assistant", "content": text} if first else {"content": text}
        return self._chunk([_choice(index, delta)])

    def last(self, answers: Sequence[Answer], begun: set[int]) -> list[dict[str, Any]]:
        """What ends a stream of the choices in `begun`, that have said something, and the others."""
        silent = [self.piece(index, "", True) for index in range(len(answers)) if index not in begun]
        ends = [self._chunk([_choice(index, {}, _reason(answer))]) for index, answer in enumerate(answers)]
        ends[-1] |= self._extras(answers)
        counts = [self._chunk([]) | {"usage": usage(answers)}] if self.with_usage else []
        return [*silent, *ends, *counts]

    def _chunk(self, choices: list[dict]) -> dict[str, Any]:
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": choices}
        return chunk | ({"usage": None} if self.with_usage else {})

    def _extras(self, answers: Sequence[Answer]) -> dict[str, Any]:
        whole = answers[0].to_dict()
        extras = {name: whole[name] for name in self.shown if name in whole}
        extras |= {name: whole[name] for name in ("agreement", "changed", "instead_of") if name in whole}
        warnings = answers[0].scene.warnings
        if warnings:
            extras["warnings"] = list(warnings)
        return {"moai": extras} if extras else {}


def _choice(index: int, delta: dict, reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}


def _reason(answer: Answer) -> str:
    return "length" if answer.usage is not None and answer.usage.cut else "stop"


def usage(answers: Sequence[Answer]) -> dict[str, int]:
    """Tokens of the prompt, the picture's among them, and of all answers."""
    counts = [answer.usage for answer in answers if answer.usage is not None]
    read, written = counts[0].prompt_tokens, sum(one.new_tokens for one in counts)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def model_card(name: str, created: int) -> dict[str, Any]:
    """A model as lists of models show it."""
    return {"id": name, "object": "model", "created": created, "owned_by": "moai"}
