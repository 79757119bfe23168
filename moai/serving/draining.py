"""A server that ends in good order: nothing new is taken, and what is under way is finished."""

import signal
import time

import uvicorn
from fastapi import FastAPI

LEFT_SECONDS = 2
"""For connections that nothing is answered on, such as those of open pages."""


class DrainingServer(uvicorn.Server):
    """Ends at SIGTERM or Ctrl+C when what is under way is finished, and at a second Ctrl+C at once."""

    def __init__(self, app: FastAPI, host: str, port: int):
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=LEFT_SECONDS,
        )
        super().__init__(config)
        self.service = app.state.service
        self._until: float | None = None

    def end(self) -> None:
        """Take nothing new, and end when what is there is finished, at the latest after `drain_seconds`."""
        if self._until is None:
            self.service.admission.ending = True
            self._until = time.monotonic() + self.service.settings.drain_seconds

    def handle_exit(self, sig: int, frame) -> None:
        """Called for SIGTERM and SIGINT."""
        if self._until is not None and sig == signal.SIGINT:
            self.should_exit = self.force_exit = True
        self.end()

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now; asked ten times a second."""
        done = self._until is not None and (self.service.admission.present == 0 or time.monotonic() > self._until)
        return await super().on_tick(counter) or done
