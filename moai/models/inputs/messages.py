"""Conversations as transformers writes them, with pictures among the parts of a message, and templates for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from moai.models.prompts import PromptStyle

_PICTURE_KEYS = ("image", "url", "path", "base64")
_TEXT = (
    "{%- macro text(message) -%}"
    "{%- if message.content is string -%}{{- message.content -}}{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'text' -%}{{- part.text -}}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{%- endmacro -%}"
)
_SYSTEM = (
    "{%- if not asked.yet and messages[0].role == 'system' -%}"
    "{%- if text(messages[0]).strip() -%}{{- text(messages[0]) -}}{{- '\n' -}}{%- endif -%}{%- endif -%}"
    "{%- set asked.yet = true -%}"
)


def style_template(style: PromptStyle, image_token: str) -> str:
    """The Jinja template of a fixed style, in which a conversation is the text of what `conversation_ids` gives.

    Pictures stand behind the style's system text, one image token each; a system message stands before the first
    question.
    """
    question, answer = (turn.split("{}") for turn in (style.question, style.answer))
    return "".join(
        (
            _TEXT,
            "{%- set asked = namespace(yet=false) -%}",
            "{%- if bos_token -%}{{- bos_token -}}{%- endif -%}" if style.begins else "",
            _said(style.system),
            "{%- for message in messages if message.content is not string -%}{%- for part in message.content "
            f"if part.type == 'image' -%}}{_said(image_token)}{{%- endfor -%}}{{%- endfor -%}}",
            "{%- for message in messages -%}{%- if message.role == 'user' -%}",
            f"{_said(question[0])}{_SYSTEM}{{{{- text(message) -}}}}{_said(question[1])}",
            "{%- elif message.role == 'assistant' -%}{%- generation -%}",
            f"{_said(answer[0])}{{{{- text(message) -}}}}{_said(answer[1])}{{{{- eos_token -}}}}",
            "{%- endgeneration -%}{%- elif not (loop.first and message.role == 'system') -%}"
            "{{- raise_exception('allowed roles are user and assistant, and system to begin with') -}}"
            "{%- endif -%}{%- endfor -%}",
        )
    )


def _said(text: str) -> str:
    return "{{- " + repr(text) + " -}}" if text else ""


def written_out(messages: Sequence[Mapping[str, Any]], image_token: str) -> tuple[list[dict[str, Any]], list[Any]]:
    """Messages with a text each, as a language model's template takes them, and their pictures, in order.

    A picture stands before the text of its message, on a line of its own. What is no list of parts stays as it is.
    """
    texts, pictures = [], []
    for message in messages:
        content = message.get("content")
        if isinstance(content, (list, tuple)):
            seen = [part for part in content if part.get("type") in ("image", "image_url")]
            pictures += [picture for part in seen for picture in _pictures(part)]
            said = "".join(part["text"] for part in content if part.get("type") == "text")
            content = f"{image_token}\n" * len(seen) + said
        texts.append({**message, "content": content})
    return texts, pictures


def _pictures(part: Mapping[str, Any]) -> list[Any]:
    if part["type"] == "image_url":
        told = part["image_url"]
        return [told["url"] if isinstance(told, Mapping) else told]
    return [part[key] for key in _PICTURE_KEYS if key in part]
