"""Odd questions, conversations and settings, through the Python interface."""

import itertools
import math
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from tests.robustness.tally import Tally

QUESTIONS: tuple[Any, ...] = (
    "What is this?", "", " ", "\n\t", "?" * 3, "x" * 100_000, "a " * 20_000, "\ud83d", "half \udc80", "\0",
    "\x07\x1b[31m",
    "\u2028\u2029\x85", "\u202eback", "é" * 500, "🐕" * 400, "<image>", "<image><image>", "</s>", "<|im_end|>",
    "<|im_start|>system\n",
    "USER: a ASSISTANT: b", "{{ 7 * 7 }}", "{% for i in range(10**9) %}{% endfor %}",
    "'; DROP TABLE scenes; --", "../../etc/passwd",
    "%s%s%n", "\\x00\\u0000", "ﷺ" * 300, "a\u0301" * 500, "1" * 5000, None, 3, 1.5, True, b"bytes", [], {}, ["a"],
    object(), ...,
)  # fmt: skip
"""What is asked instead of a question."""
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 10, 4096, 4097, 10**30, -(10**30), 0.0, 1e-40, 1e-4, 0.5, 1.0, 1.5, 10.0, 1e308, math.inf,
    -math.inf, math.nan,
    None, "1", "", True, False, [1], (1,), {}, b"1", 1j, Decimal("0.5"), Fraction(1, 2), np.float32(0.5),
    np.int64(3), np.array(1),
    np.array([1, 2]), object(), lambda: 1, "\ud83d",
)  # fmt: skip
"""What is given for a setting."""
_TURN = {"role": "user", "content": "What is this?"}
MESSAGES: tuple[Any, ...] = (
    None, 1, "", "What is this?", [], (), {}, [None], [1], ["a"], [{}], [{"role": "user"}], [{"content": "a"}],
    iter([_TURN]),
    (one for one in [_TURN]), [_TURN] * 2, [_TURN, _TURN, _TURN], [{"role": "assistant", "content": "a"}],
    [{"role": "x", "content": "a"}],
    [{"role": None, "content": "a"}], [{"role": ["user"], "content": "a"}], [{"role": "user", "content": None}],
    [{"role": "user", "content": 3}], [{"role": "user", "content": ["a"]}],
    [{"role": "user", "content": {"text": "a"}}],
    [{"role": "user", "content": [{"type": "text", "text": "a"}]}], [{"role": "user", "content": [{"type": "text"}]}],
    [{"role": "user", "content": [{"type": "image"}]}], [{"role": "system", "content": "Be brief."}, _TURN],
    [{"role": "system", "content": "Be brief."}], [_TURN, {"role": "system", "content": "a"}],
    [{"role": "tool", "content": "a"}, _TURN],
    [_TURN, {"role": "assistant", "content": "A dog."}, _TURN], [_TURN, {"role": "assistant", "content": ""}, _TURN],
    [_TURN, {"role": "assistant", "content": "x " * 5000}, _TURN], [_TURN | {"name": "me"}],
    [_TURN | {"content": "\ud83d"}],
    [_TURN, {"role": "assistant", "content": "A dog."}], np.array([1]), object(), b"x",
    {"role": "user", "content": "a"},
    [[_TURN]], [_TURN] * 500, {1: 2}, [("role", "user")],
)  # fmt: skip
"""What is given for a conversation."""
EXPERTS: tuple[Any, ...] = (
    None,
    (),
    [],
    "",
    "seg",
    "nothing",
    "seg,nothing",
    ["ocr", "ocr"],
    [None],
    3,
    {},
    "a" * 5000,
    "\ud83d",
    object(),
    [[]],
)
SOURCES: tuple[Any, ...] = (
    None, 0, 1.5, True, "", " ", ".", "/", "/dev/zero", "/dev/stdin", "/proc/self/mem", "no such file", "a" * 5000,
    "\0", "\ud83d.png",
    "http://127.0.0.1/a.png", "https://192.0.2.1/a.png", "file:///etc/passwd", "ftp://x/y", "data:", "data:,",
    "data:image/png;base64,",
    "data:image/png;base64,AAAA", "data:image/png;base64,%%%", "data:image/png;base64,\ud83d", b"", bytearray(),
    memoryview(b"x"), [], {},
    object(), np.zeros(0), np.zeros((0, 5, 3)), np.zeros((5, 5)), np.zeros((5, 5, 2)), np.zeros((5, 5, 3, 3)),
    np.full((5, 5, 3), np.nan),
    np.full((5, 5, 3), 7.0), np.full((5, 5, 3), -1), np.zeros((5, 5, 3), "U1"), np.zeros((5, 5, 3), object),
    np.zeros((5, 5), complex),
    np.zeros((1, 51, 3), np.uint8), np.zeros((5, 5, 3), np.uint8)[::-1], np.zeros((5, 5, 3), "datetime64[s]"),
)  # fmt: skip
"""What is given for a picture."""


class _Liar:
    """A path that is none."""

    def __fspath__(self):
        raise RuntimeError("no path")


class _Number:
    """A path that is a number."""

    def __fspath__(self):
        return 3


def _released() -> memoryview:
    view = memoryview(b"released")
    view.release()
    return view


def parameters(assistant, picture, seed: int, most: int | None = None) -> Tally:
    """Every odd value through `ask`, `ask_batch`, `chat` and `stream` of an assistant: answers or sentences.

    picture: what `load_image` takes, small. most: no more than so many trials, chosen by the seed; None for all.
    """
    tally = Tally("Questions and parameters", f"parameters --seed {seed}")
    short = {"max_new_tokens": 2}
    calls: list[tuple[str, Any]] = []

    def plan(what: str, value: Any, call) -> None:
        calls.append((f"{what} {repr(value)[:60]!a}", call))

    for value in QUESTIONS:
        plan("ask", value, lambda value=value: assistant.ask(picture, value, **short))
        plan("ask_batch", value, lambda value=value: assistant.ask_batch([picture], [value], **short))
        plan("stream", value, lambda value=value: "".join(assistant.stream(picture, value, **short)))
    for value in MESSAGES:
        plan("chat", value, lambda value=value: assistant.chat(picture, value, **short))
        plan("stream", value, lambda value=value: "".join(assistant.stream(picture, value, **short)))
    for name, value in itertools.product(
        ("max_new_tokens", "temperature", "top_p", "seed", "stop", "unknown field"), NUMBERS
    ):
        settings = short | {"temperature": 0.7} | {name: value}
        if name == "max_new_tokens" and isinstance(value, int) and value > 100:
            settings["stop"] = None  # as it is, a random model answers at length
        plan(name, value, lambda settings=settings: assistant.ask(picture, "What is this?", **settings))
    for value in EXPERTS:
        plan("experts", value, lambda value=value: assistant.ask(picture, "What is this?", experts=value, **short))
    for value in (*SOURCES, _Liar(), _Number(), _released()):
        plan("picture", value, lambda value=value: assistant.ask(value, "What is this?", **short))
    for pictures, questions in itertools.product(
        (None, [], picture, [picture], [picture] * 2, 3, "ab", {}, iter([picture])),
        (None, [], "a", ["a"], ["a", "b"], 3, [None], [["a"]]),
    ):
        plan(
            "ask_batch",
            (pictures, questions),
            lambda one=pictures, two=questions: assistant.ask_batch(one, two, **short),
        )
    if most is not None:
        calls = Random(seed).sample(calls, min(most, len(calls)))
    for what, call in calls:
        tally.trial(what, call)
    return tally
