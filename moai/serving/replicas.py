"""The server for programs on Ray Serve: several replicas behind one port, on this machine or a cluster."""

import logging
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from moai.serving.cluster import running
from moai.serving.settings import HOST, PORT, Settings
from moai.terminal import quiet_libraries, sentence
from moai.web.engine import Engine

if TYPE_CHECKING:
    from fastapi import FastAPI

NAME = "moai"
SHARE = 0.75
"""Of the cores for all replicas together; Ray's own processes need some."""


@dataclass(frozen=True)
class Replicas:
    """What every replica is made of, and how many there are: `least`, and up to `most` while more is asked of them."""

    model: str | None = None
    quantize: str | None = None
    experts_from: str | None = None
    looking: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    least: int = 1
    most: int | None = None
    memory: str | None = None

    def __post_init__(self) -> None:
        if self.most is not None and self.most < self.least:
            raise ValueError(f"--max-replicas is {self.most}, fewer than the {self.least} of --replicas")


def serve_replicas(
    replicas: Replicas, host: str = HOST, port: int = PORT, address: str | None = None, allow_hosts: Iterable[str] = ()
) -> None:
    """Serves until SIGTERM or Ctrl+C; what is under way then is finished within `settings.drain_seconds`.

    `address` as for `moai.serving.cluster.running`. Raises ValueError with one sentence for an address that cannot be
    listened at, a package that is missing, and a model that cannot be loaded.
    """
    from moai.web.server import check_address

    check_address(host, port)
    with running("moai serve --replicas", address) as ray:
        end = threading.Event()
        for one in (signal.SIGTERM, signal.SIGINT):  # now, since Ray has set its own
            signal.signal(one, lambda *_: end.set())
        with deployed(ray, replicas, host, port, allow_hosts):
            print(f"MoAI is at http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl+C ends it)", flush=True)
            end.wait()


@contextmanager
def deployed(
    ray: ModuleType, replicas: Replicas, host: str, port: int, allow_hosts: Iterable[str] = ()
) -> Iterator[None]:
    """Replicas that answer on the port as long as the block lasts; at its end they finish what is under way.

    Raises ValueError with one sentence where no replica could start.
    """
    try:
        from ray import serve

        from moai.web.door import names_of
    except ImportError as error:
        raise ValueError("moai serve --replicas needs Ray Serve; pip install 'moai-vlm[serve,cluster]'") from error
    logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
    most = replicas.most or replicas.least
    there = ray.cluster_resources()
    settings = replicas.settings
    deployment = serve.deployment(
        serve.ingress()(_Replica),
        name=NAME,
        # The replica itself says when it has too much to do, with a time to come back at.
        max_ongoing_requests=2 * settings.max_requests,
        ray_actor_options={
            "num_cpus": round(min(1.0, SHARE * there.get("CPU", 1) / most), 4),
            "num_gpus": round(min(1.0, there.get("GPU", 0) / most), 4),
        },
        graceful_shutdown_timeout_s=settings.drain_seconds,
        **_number(replicas, most),
    )
    names = tuple(names_of(host, allow_hosts))
    serve.start(proxy_location="EveryNode", http_options={"host": host, "port": port}, logging_config=_QUIET)
    try:
        try:
            serve.run(deployment.bind(replicas, names), name=NAME, route_prefix="/")
        except RuntimeError as error:
            raise ValueError(_why(serve) or f"no replica could start: {error}") from error
        yield
        serve.delete(NAME)
    finally:
        serve.shutdown()


_QUIET = {"log_level": "ERROR", "enable_access_log": False}


def _number(replicas: Replicas, most: int) -> dict[str, Any]:
    if most == replicas.least:
        return {"num_replicas": most}
    # Another one when the rows of those that are there are full.
    target = replicas.settings.rows
    return {
        "autoscaling_config": {"min_replicas": replicas.least, "max_replicas": most, "target_ongoing_requests": target}
    }


def _why(serve: ModuleType) -> str | None:
    """The sentence with which replicas failed, where they left one."""
    for application in serve.status().applications.values():
        for deployment in application.deployments.values():
            if (start := deployment.message.find(_MARK)) >= 0:
                return deployment.message[start + len(_MARK) :].splitlines()[0].split(_MARK)[0].strip()
    return None


_MARK = "MoAI: "


class _Replica:
    """One replica: a model of its own, with the application before it."""

    def __init__(self, replicas: Replicas, names: Iterable[str]):
        quiet_libraries()
        self.settings, self.names = replicas.settings, names
        load = (replicas.model, replicas.quantize, replicas.experts_from, replicas.looking, replicas.memory)
        self.engine = Engine(*load)
        try:
            self.engine.load()
        except ValueError as error:
            raise RuntimeError(f"{_MARK}{sentence(error)}") from error

    def __serve_build_asgi_app__(self) -> "FastAPI":
        from moai.serving.app import create_app
        from moai.web.door import Door

        app = create_app(self.engine, self.settings)
        app.add_middleware(Door, names=frozenset(self.names))
        return app
