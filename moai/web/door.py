"""What comes before the page: which names it answers to, and a sentence for requests that gradio fails at."""

import errno
import ipaddress
import logging
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANY = "*"
"""As an allowed name: every one."""


def names_of(host: str, more: Iterable[str] = ()) -> frozenset[str]:
    """The names under which a server that listens at `host` answers; `more` are those of proxies or a domain."""
    names = {host.lower(), *(name.lower() for name in more)}
    if _is_every_address(host):
        names |= {*_LOOPBACK, socket.gethostname().lower(), socket.getfqdn().lower()}
    elif host.lower() in _LOOPBACK or _is_loopback(host):
        names |= set(_LOOPBACK)
    return frozenset(names)


def _address(name: str):
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_every_address(name: str) -> bool:
    address = _address(name)
    return name == "" or (address is not None and address.is_unspecified)


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return address is not None and address.is_loopback


def name_in(host: str) -> str:
    """The name in a Host header, without its port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


class Door:
    """ASGI middleware for the page.

    A page on another site can make its own name point here and then read what a visitor's browser gets (DNS
    rebinding); the Host header tells that name. So requests under names that are not among `names` are refused with
    status 400. An address instead of a name is no such thing, and taken where every address is listened at.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]):
        self.app = app
        self.names = names
        self.everywhere = any(_is_every_address(name) for name in names)

    def answers_to(self, host: str) -> bool:
        """Whether a Host header names this server."""
        name = name_in(host)
        if ANY in self.names or name in self.names:
            return True
        return self.everywhere and _address(name) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if not self.answers_to(Headers(scope=scope).get("host", "")):
            told = "This server does not answer to that name; --allow-host NAME of `moai serve` allows it."
            await PlainTextResponse(told, status_code=400)(scope, receive, send)
            return
        await self.app(scope, receive, send)


class Forgiving:
    """ASGI middleware for the page: what gradio fails at is told to the client in a sentence, and the log in a line."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            if scope["type"] != "http":
                raise
            # Gradio raises whatever it stumbles over when a request is not one of its own page's.
            log = logging.getLogger("moai.web")
            log.warning("%s %.200r: %s", scope["method"], scope["path"], type(error).__name__)
            log.debug("what it stumbled over", exc_info=error)
            if not started:
                await _told(error)(scope, receive, send)


def _told(error: Exception) -> PlainTextResponse:
    if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
        return PlainTextResponse("The server could not read or keep a file. Please try again later.", status_code=507)
    return PlainTextResponse("This is no request that the page makes. Load the page anew.", status_code=400)
