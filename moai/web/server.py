"""Starts the page: it is there at once, and says how far the models are while they load."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from moai.web.engine import Engine

HOST, PORT = "127.0.0.1", 7860
MAX_WAITING = 40
MAX_VISITORS = 64


def serve(
    model: str | None = None,
    host: str = HOST,
    port: int | None = PORT,
    quantize: str | None = None,
    experts_from: str | None = None,
    swaps: Mapping[str, str] | None = None,
) -> None:
    """Serve the page until interrupted.

    `model`, `quantize` and `experts_from` are those of `MoAI.from_pretrained`, and `swaps` the single experts that it
    is given; without a `port` a free one is taken.
    Raises ValueError with one sentence for a model that cannot be loaded, an address that cannot be listened at, or
    where gradio is missing.
    """
    _check_address(host, port)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
    try:
        from moai.web.layout import Page
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ValueError("the page needs gradio, which is not installed: pip install 'moai-vlm[web]'") from error
    engine = Engine(model, quantize, experts_from, swaps)
    page = Page(engine)
    try:
        print(f"MoAI is at {launch(page, host, port)} (Ctrl+C ends it)", flush=True)
        engine.load(Path(page.examples[0]["picture"]) if page.examples else None)
        print("Ready.", flush=True)
        page.blocks.block_thread()
    except KeyboardInterrupt:
        pass
    finally:
        page.blocks.close(verbose=False)


def _check_address(host: str, port: int | None) -> None:
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"there is no port {port}; allowed are 1 to 65535")
    try:
        socket.create_server((host, port or 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        where = host if port is None else f"{host}, port {port}"
        raise ValueError(f"nothing can listen at {where} ({error.strerror}); choose another") from error


def launch(page, host: str, port: int | None) -> str:
    """Start listening, without waiting for the models; returns the address."""
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
    )
    return url
