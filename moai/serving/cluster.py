"""Ray, quiet: a small one on this machine, or a cluster that is running."""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType

from filelock import FileLock, Timeout

OBJECT_STORE = 2**30
"""Bytes of shared memory on this machine for what travels between processes; what does not fit goes to the disk."""
_PREFIX, _LOCK = "moai-ray-", "lock"
_SOCKETS = 36
"""Longest folder in which the paths of Ray's sockets fit into the system's 107 bytes."""


def ray_package(feature: str) -> ModuleType:
    """The package ray, told not to report home or chatter; ValueError with one sentence when it is missing."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # It kills these workers where others fill the memory; the system's own knows better whom to end.
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # `nice moai ...` is for those who want it
    try:
        import ray
    except ImportError as error:
        raise ValueError(f"{feature} needs the package ray; pip install 'moai-vlm[cluster]'") from error
    return ray


@contextmanager
def running(feature: str, address: str | None = None) -> Iterator[ModuleType]:
    """Ray connected to the cluster at `address`, or one of this machine that ends with the block.

    Where this process is connected already, that stays. Raises ValueError with one sentence when there is no cluster.
    """
    ray = ray_package(feature)
    if ray.is_initialized():
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": True}
    with ExitStack() as stack:
        if address is not None:
            stack.callback(ray.shutdown)
            try:
                with _silent():
                    ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ValueError(f"no Ray cluster answers at {address}; `ray status` says whether one runs") from error
        else:
            folder = stack.enter_context(own_folder())
            stack.callback(ray.shutdown)
            with importable(), _silent():
                ray.init(include_dashboard=False, object_store_memory=OBJECT_STORE, _temp_dir=folder, **quiet)
        # What fails is tried again; how often is nothing to print between the answers.
        ray._private.worker._worker_logs_enabled = False
        yield ray


@contextmanager
def own_folder() -> Iterator[str]:
    """A folder for Ray's sockets and logs that goes when the block ends; those of killed processes go at its start."""
    usual = Path(tempfile.gettempdir())
    parent = usual if len(str(usual)) < _SOCKETS - len(_PREFIX) - 9 else Path("/tmp")
    for left in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(Timeout, OSError), FileLock(left, timeout=0):
            shutil.rmtree(left.parent, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
    try:
        with FileLock(Path(folder) / _LOCK, timeout=0):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silent() -> Iterator[None]:
    """Standard error closed to libraries' own writing: Ray tells there that it was told to be quiet."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


@contextmanager
def importable() -> Iterator[None]:
    """Processes that start meanwhile find this package, also in a checkout that is not installed."""
    before = os.environ.get("PYTHONPATH")
    root = str(Path(__file__).parents[2])
    os.environ["PYTHONPATH"] = root if before is None else root + os.pathsep + before
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
