"""Fetches pictures from allowed hosts: nothing else can be reached by way of this server."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import SplitResult, urljoin, urlsplit

from perception.images import ImageError

MAX_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
_TRANSLATED = tuple(ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
"""IPv6 addresses that stand for IPv4 ones, which may be anything."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet: not private, link-local, loopback, multicast or reserved."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises OSError for one that has none."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Fetcher:
    """Gets what is behind addresses of `hosts`, by http and https.

    A host is a name, which allows the usual ports, or NAME:PORT. Names are resolved once, all their addresses have to
    be public, and the connection goes to the address that was looked at; redirects are followed on the same host
    alone. At most `max_bytes` are read, within `seconds` in all. `resolve` and `public` are for tests.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        max_bytes: int,
        seconds: float,
        resolve: Callable[[str, int], list[str]] = resolved,
        public: Callable[[Address], bool] = is_public,
    ):
        self.hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self.max_bytes, self.seconds, self.resolve, self.public = max_bytes, seconds, resolve, public
        self._resolving = ThreadPoolExecutor(4, thread_name_prefix="resolve")

    def __call__(self, url: str) -> bytes:
        """The content. Raises ImageError with one sentence when it cannot or must not be had."""
        until = time.monotonic() + self.seconds
        first = place = self._allowed(url)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._asked(place, until)
            if isinstance(answer, bytes):
                return answer
            place = self._allowed(urljoin(place.geturl(), answer))
            if place.hostname != first.hostname:
                raise ImageError(f"{first.hostname} sends on to another host, which is not followed")
        raise ImageError(f"{first.hostname} sends on more than {MAX_REDIRECTS} times")

    def _allowed(self, url: str) -> SplitResult:
        if not url.isascii() or not url.isprintable() or any(one in url for one in ' \\"<>'):
            raise ImageError("the address of the picture holds characters that no address has")
        try:
            place = urlsplit(url)
            port = place.port
        except ValueError:
            raise ImageError("the address of the picture is none; give http://HOST/PATH or https://HOST/PATH") from None
        if place.scheme not in _PORTS or not place.hostname:
            raise ImageError("a picture must be in a data: URL, or behind an address that begins with http or https")
        host, usual = place.hostname.rstrip("."), port in (None, _PORTS[place.scheme])
        if not ((usual and host in self.hosts) or f"{host}:{port or _PORTS[place.scheme]}" in self.hosts):
            raise ImageError(
                f"nothing is fetched from {place.netloc.rpartition('@')[2]:.100}, which is not allowed here"
            )
        return place

    def _address(self, host: str, port: int, until: float) -> str:
        try:
            found = self._resolving.submit(self.resolve, host, port).result(max(0.0, until - time.monotonic()))
            addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in found]
        except (OSError, ValueError, UnicodeError, TimeoutError):
            raise ImageError(f"the host {host} was not found") from None
        if not addresses or not all(self.public(one) for one in addresses):
            raise ImageError(f"the host {host} has an address that is not public; nothing is fetched from there")
        return str(addresses[0])

    def _asked(self, place: SplitResult, until: float) -> bytes | str:
        """The content, or the address that the host sends on to."""
        host = str(place.hostname)
        port = place.port or _PORTS[place.scheme]
        address = self._address(host, port, until)
        connection = _Pinned(host, port, address, place.scheme == "https", max(0.01, until - time.monotonic()))
        # A host that sends a byte now and then never runs into the timeout of a single read.
        watch = threading.Timer(max(0.01, until - time.monotonic()), connection.cut)
        watch.start()
        try:
            way = (place.path or "/") + (f"?{place.query}" if place.query else "")
            connection.request("GET", way, headers={"Accept": "image/*", "User-Agent": "moai"})
            reply = connection.getresponse()
            if reply.status in (301, 302, 303, 307, 308) and reply.headers.get("Location"):
                return str(reply.headers["Location"])
            if reply.status != 200:
                raise ImageError(f"{host} answers with status {reply.status} instead of a picture")
            content = reply.read(self.max_bytes + 1)
        except ImageError:
            raise
        except Exception:
            late = time.monotonic() >= until - 0.01
            why = f"does not send the picture within {self.seconds:.0f} s" if late else "cannot be read from"
            raise ImageError(f"{host} {why}") from None
        finally:
            watch.cancel()
            connection.close()
        if time.monotonic() >= until:
            raise ImageError(f"{host} does not send the picture within {self.seconds:.0f} s")
        if len(content) > self.max_bytes:
            raise ImageError(f"the picture at {host} is larger than {self.max_bytes} bytes")
        return content


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, under the name of its host."""

    def __init__(self, host: str, port: int, address: str, secure: bool, timeout: float):
        super().__init__(host, port, timeout=timeout)
        self._address, self._secure = address, secure
        # A name of its own, since http.client lets go of the socket once a reply has begun.
        self._open: socket.socket | None = None

    def connect(self) -> None:
        """Called when the request is sent."""
        self.sock = self._open = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            context = ssl.create_default_context()
            self.sock = self._open = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()

    def cut(self) -> None:
        """Ends whatever is being read or sent."""
        if self._open is not None:
            with suppress(OSError):
                self._open.shutdown(socket.SHUT_RDWR)
