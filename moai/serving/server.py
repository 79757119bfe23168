"""Runs the application with uvicorn, the page on the same port, until it is told to end."""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moai.serving.settings import HOST, PORT, Settings
from moai.web.engine import Engine
from moai.web.folder import upload_folder
from moai.web.server import MAX_VISITORS, MAX_WAITING, check_address

if TYPE_CHECKING:
    from moai.serving.service import Service


def serve(
    model: str | None = None,
    host: str = HOST,
    port: int = PORT,
    quantize: str | None = None,
    experts_from: str | None = None,
    looking: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    page: bool = True,
    allow_hosts: Iterable[str] = (),
    memory: str | None = None,
) -> None:
    """Serve until interrupted; the port is open at once, and `/health` tells when the model is there.

    `model`, `quantize`, `memory`, `experts_from`, `looking` and `allow_hosts` as `moai.web.server.serve` takes them;
    without `page` programs alone are answered. Raises ValueError with one sentence for a model that cannot be loaded,
    an address that cannot be listened at, or a package that is missing.
    """
    check_address(host, port)
    settings = Settings() if settings is None else settings
    engine = Engine(model, quantize, experts_from, looking, memory)
    with upload_folder() if page else nullcontext():  # before gradio is imported, which keeps its name
        try:
            from moai.serving.app import create_app
            from moai.serving.draining import DrainingServer
            from moai.web.door import Door, names_of

            app = create_app(engine, settings)
            example = mount_page(app, engine, settings) if page else None
        except ModuleNotFoundError as error:
            if error.name not in ("fastapi", "uvicorn", "prometheus_client", "gradio"):
                raise
            needed = f"moai serve needs {error.name}, which is not installed"
            raise ValueError(f"{needed}: pip install 'moai-vlm[serve,web]'") from error
        app.add_middleware(Door, names=names_of(host, allow_hosts))
        server = DrainingServer(app, host, port)
        loading = _Loading(app.state.service, example, server.end)
        print(f"MoAI is at http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl+C ends it)", flush=True)
        loading.start()
        server.run()
    if loading.error is not None:
        raise loading.error


def mount_page(app, engine: Engine, settings: Settings) -> Path | None:
    """The page on all addresses that the application has no use for; returns the picture of its first example.

    Where there are keys, people log in with one as their password.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
    import gradio
    from starlette.middleware import Middleware

    from moai.serving.keys import allows
    from moai.web.door import Forgiving
    from moai.web.layout import Page
    from moai.web.session import MAX_BYTES
    from moai.web.theme import CSS, theme

    page = Page(engine)
    page.blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=16)
    page.blocks.state_session_capacity = MAX_VISITORS
    gradio.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        auth=(lambda _, key: allows(settings.keys, key)) if settings.keys else None,
        auth_message="Any name will do; the password is a key of this server." if settings.keys else None,
        max_file_size=MAX_BYTES,
        footer_links=["api", "settings"],
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        theme=theme(),
        css_paths=CSS,
        app_kwargs={"middleware": [Middleware(Forgiving)]},
    )
    return Path(page.examples[0]["picture"]) if page.examples else None


class _Loading(threading.Thread):
    """Loads the model while the server is there already; `error` is why it could not, and the server ends."""

    def __init__(self, service: "Service", example: Path | None, end: Callable[[], None]):
        super().__init__(daemon=True)
        self.service, self.example, self.end = service, example, end
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.service.engine.load(self.example)
            self.service.assistant.warm_up()
            print("Ready.", flush=True)
        except Exception as error:
            self.error = error
            self.end()
