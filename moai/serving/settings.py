"""What a server allows, and how much of it."""

from dataclasses import dataclass

from perception.images import MAX_PIXELS

HOST, PORT = "127.0.0.1", 7860


@dataclass(frozen=True)
class Settings:
    """Limits of one server.

    `keys` are bearer keys, of which a request needs one (none: all are answered). Pictures are fetched from the hosts
    in `fetch_from` alone. A body has at most `max_body_bytes`, a picture `max_pixels`, an answer `max_new_tokens`.
    `rows` answers are written side by side, and `max_waiting` more requests wait. `workers` processes look at pictures
    (None: as `moai.serving.service.workers_for` says; 0: the server's own). A server that is told to end has
    `drain_seconds` for what is under way; a client has `body_seconds` to send its request, and a host `fetch_seconds`
    to send a picture.
    """

    keys: tuple[str, ...] = ()
    fetch_from: tuple[str, ...] = ()
    max_body_bytes: int = 32 * 2**20
    max_pixels: int = MAX_PIXELS
    max_new_tokens: int = 1024
    max_choices: int = 8
    rows: int = 8
    max_waiting: int = 64
    workers: int | None = None
    drain_seconds: float = 30.0
    body_seconds: float = 30.0
    fetch_seconds: float = 10.0

    @property
    def max_requests(self) -> int:
        """Requests that are taken at once; one more is told to come back later."""
        return self.rows + self.max_waiting
