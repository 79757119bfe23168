"""Starts the page: it is there at once, and says how far the models are while they load."""

import os
import signal
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from moai.web.engine import Engine
from moai.web.folder import upload_folder

HOST, PORT = "127.0.0.1", 7860
MAX_WAITING = 40
MAX_VISITORS = 64
LAST_SECONDS = 3
"""How long answers under way are waited for when the page ends."""


def serve(
    model: str | None = None,
    host: str = HOST,
    port: int | None = PORT,
    quantize: str | None = None,
    experts_from: str | None = None,
    looking: Mapping[str, Any] | None = None,
    allow_hosts: Iterable[str] = (),
    memory: str | None = None,
) -> None:
    """Serve the page until interrupted, by Ctrl+C or SIGTERM; uploads are removed then.

    `model`, `quantize`, `memory` and `experts_from` are those of `MoAI.from_pretrained`, `looking` what else of experts
    it is given, by name; without a `port` a free one is taken. `allow_hosts` are names besides `host` that it answers
    to. Raises ValueError with one sentence for a model that cannot be loaded, an address that cannot be listened at, or
    where gradio is missing.
    """
    check_address(host, port)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    engine = Engine(model, quantize, experts_from, looking, memory)
    try:
        with upload_folder():  # before gradio is imported, which keeps its name
            _serve(engine, host, port, allow_hosts)
    except KeyboardInterrupt:
        pass


def _serve(engine: Engine, host: str, port: int | None, allow_hosts: Iterable[str]) -> None:
    try:
        from moai.web.layout import Page
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ValueError("the page needs gradio, which is not installed: pip install 'moai-vlm[web]'") from error
    page = Page(engine)
    try:
        print(f"MoAI is at {launch(page, host, port, allow_hosts)} (Ctrl+C ends it)", flush=True)
        engine.load(Path(page.examples[0]["picture"]) if page.examples else None)
        print("Ready.", flush=True)
        page.blocks.block_thread()
    finally:
        page.blocks.close(verbose=False)


def check_address(host: str, port: int | None) -> None:
    """Raises ValueError with one sentence when nothing can listen there; without a `port` a free one will be taken."""
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"there is no port {port}; allowed are 1 to 65535")
    try:
        socket.create_server((host, port or 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        where = host if port is None else f"{host}, port {port}"
        raise ValueError(f"nothing can listen at {where} ({error.strerror}); choose another") from error


def launch(page, host: str, port: int | None, allow_hosts: Iterable[str] = ()) -> str:
    """Start listening, without waiting for the models; returns the address."""
    from starlette.middleware import Middleware

    from moai.web.door import Door, Forgiving, names_of
    from moai.web.session import MAX_BYTES
    from moai.web.theme import CSS, theme

    page.blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=16)
    _, url, _ = page.blocks.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=MAX_BYTES,
        footer_links=["api", "settings"],
        state_session_capacity=MAX_VISITORS,
        enable_monitoring=False,
        ssr_mode=False,
        theme=theme(),
        css_paths=CSS,
        app_kwargs={"middleware": [Middleware(Door, names=names_of(host, allow_hosts)), Middleware(Forgiving)]},
    )
    # Visitors keep a connection for as long as they look at the page.
    page.blocks.server.config.timeout_graceful_shutdown = LAST_SECONDS
    return url
