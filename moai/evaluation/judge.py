"""A language model that judges answers, behind any server that speaks the OpenAI chat protocol."""

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

_SECONDS = 120


@dataclass(frozen=True)
class Judge:
    """The model `model` behind `url` (with or without "/chat/completions" at its end).

    The environment variable OPENAI_API_KEY, where set, is sent along. Raises ValueError for a URL that is none.
    """

    url: str
    model: str

    def __post_init__(self):
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).netloc:
            raise ValueError(f"{self.url!r} is no URL of a judge; give one as http://localhost:8000/v1")

    def ask(self, prompt: str, max_tokens: int = 128) -> str:
        """The judge's answer at temperature 0; raises ValueError, with one sentence, when there is none."""
        address = self.url.rstrip("/")
        address += "" if address.endswith("/chat/completions") else "/chat/completions"
        messages = [{"role": "user", "content": prompt}]
        body = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": max_tokens}
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as reply:
                return json.loads(reply.read())["choices"][0]["message"]["content"].strip()
        except urllib.error.HTTPError as error:
            raise ValueError(
                f"the judge at {self.url} refused with status {error.code}; what it judged is kept"
            ) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"the judge at {self.url} gave no answer ({error}); what it judged is kept") from error
