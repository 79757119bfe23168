"""Malformed pictures through every door: `load_image`, the Python interface, the page and the server."""

from collections.abc import Callable, Iterable
from typing import Any

from perception import load_image
from tests.robustness.asking import Asker
from tests.robustness.pictures import Odd
from tests.robustness.started import Started
from tests.robustness.tally import SECONDS, Tally

QUESTION = "Is there a road?"


def loaded(files: Iterable[Odd], command: str) -> Tally:
    """Through `load_image`; a whole picture in a format that is read must not be refused."""
    tally = Tally("Pictures: load_image", command)
    for file in files:
        before = tally.refused
        tally.trial(file.what, lambda file=file: load_image(file.content))
        if file.whole and tally.refused > before:
            tally.refused = before
            tally.lose(file.what, "it is whole, and was refused")
    return tally


def asked(assistant: Any, files: Iterable[Odd], command: str) -> Tally:
    """Through `ask` of an assistant."""
    tally = Tally("Pictures: ask", command)
    for file in files:
        tally.trial(file.what, lambda file=file: assistant.ask(file.content, QUESTION, max_new_tokens=4).text)
    return tally


def paged(server: Started, files: Iterable[Odd], command: str) -> Tally:
    """Through the page: uploaded, and asked about."""
    asker = Asker(server.address)
    return _served(server, files, Tally("Pictures: page", command), lambda file: asker.page(file.content, QUESTION))


def posted(server: Started, files: Iterable[Odd], command: str) -> Tally:
    """Through the server, as data URIs."""
    asker = Asker(server.address)
    tally = Tally("Pictures: server", command)
    return _served(server, files, tally, lambda file: asker.server(file.content, QUESTION, max_tokens=4))


def _served(server: Started, files: Iterable[Odd], tally: Tally, ask: Callable[[Odd], str]) -> Tally:
    before, memory = server.log.count("Traceback"), server.memory()
    for file in files:
        tally.trial(file.what, lambda file=file: ask(file), SECONDS)
    for _ in range(server.log.count("Traceback") - before):
        tally.lose("log", "a traceback stands in it")
    tally.notes.append(f"{server.memory() - memory:+.0f} MiB")
    return tally
