"""A disk that is full, and a home that nobody may write to: commands answer, or end with one sentence."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import warm
from tests.robustness.asking import Asker
from tests.robustness.started import ROOT, started
from tests.robustness.tally import Tally, unfit

EXAMPLE = "examples/street.png"
_ROOM = 16 * 2**10
_PATIENCE = 300


@contextmanager
def full_disk(folder: Path) -> Iterator[bool]:
    """`folder` with 16 KiB of room: a file system of its own. Yields False where none may be mounted."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True)


def _no_larger_file() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_ROOM, _ROOM))


def command(
    tally: Tally, what: str, words: Sequence[str], expected: str | None, environment: dict, limited: bool
) -> None:
    """One command: accepted when it ends well and says what is `expected`, refused when it ends with one sentence.

    With `expected` None it cannot end well: what it is to write does not fit.
    """
    tally.tried += 1
    called, settings = [sys.executable, *words], os.environ | {"HF_HUB_OFFLINE": "1"} | environment
    if environment or limited:  # libraries write where they are imported, too
        limit = _no_larger_file if limited else None
        ended = subprocess.run(
            called, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=_PATIENCE, preexec_fn=limit
        )
    else:
        ended = warm.run(called, ROOT, settings, _PATIENCE)
    told = [line for line in ended.stderr.splitlines() if line.startswith("moai: ")]
    if ended.returncode == 0 and expected is not None and expected in ended.stdout:
        tally.accepted += 1
    elif ended.returncode == 2 and len(told) == 1 and "Traceback" not in ended.stderr and not unfit(told[0]):
        tally.refused += 1
    else:
        tally.lose(what, f"status {ended.returncode}: {(ended.stderr or ended.stdout).strip()[-400:]!r}")


def disk(seed: int, serving: bool = True, names: Sequence[str] | None = None) -> Tally:
    """Commands and, with `serving`, the server where nothing can be written.

    names: those of the commands; None for all.
    """
    tally = Tally("Full disk, read-only home", f"disk --seed {seed}")
    ask = ["ask", EXAMPLE, "What does the sign say?", "--model", "moai-nano"]
    with tempfile.TemporaryDirectory() as temporary:
        full = Path(temporary) / "full"
        full.mkdir()
        with full_disk(full) as mounted:
            tally.notes.append("a full file system" if mounted else "files limited to 16 KiB")
            nowhere = dict.fromkeys(
                ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "HF_HOME", "YOLO_CONFIG_DIR"), "/proc/nobody"
            )
            crowded = dict.fromkeys((*nowhere, "TMPDIR"), str(full))
            # What each does, what it says when that goes well, and where it does it. Those that write there cannot.
            commands: dict[str, tuple[list[str], str | None, dict]] = {
                "ask, read-only home": (ask, "GALLERY", nowhere),
                "ask, full disk": (ask, "GALLERY", crowded),
                "perceive --draw": (["perceive", EXAMPLE, "--draw", f"{full}/out.png"], None, {}),
                "perceive --all": (["perceive", "--all", "examples", "--cache", f"{full}/seen"], None, {}),
                "export": (["export", "weights/moai-nano", f"{full}/exported"], None, {}),
                "batch": (["batch", "examples", "--question", "Is there a dog?", "--out", f"{full}/answers"], None, {}),
            }
            for name in commands if names is None else names:
                words, expected, environment = commands[name]
                command(tally, name, ["-m", "moai", *words], expected, environment, limited=not mounted)
                for one in sorted(full.rglob("*"), reverse=True):
                    one.rmdir() if one.is_dir() else one.unlink()
            if serving and mounted:
                _server(tally, full)
    return tally


def _server(tally: Tally, full: Path) -> None:
    words = ["-m", "moai", "serve", "--model", "moai-nano"]
    picture = (ROOT / EXAMPLE).read_bytes()
    with started(words, {"GRADIO_TEMP_DIR": str(full)}) as server:
        (full / "filler").write_bytes(bytes(_ROOM // 2))
        asker = Asker(server.address)
        tally.trial("page, full disk", lambda: asker.page(picture, "Is there a dog?"))
        tally.trial("server, full disk", lambda: asker.server(picture, "Is there a dog?"))
        (full / "filler").unlink()
        small = b"\x89PNG\r\n\x1a\n"
        tally.trial("page, room again", lambda: asker.page(small, "Is there a dog?"))
        if "Traceback" in server.log:
            tally.lose("log", f"a traceback stands in it: {server.log[-400:]!r}")
    left = [one.name for one in full.iterdir()]
    if left:
        tally.leak(f"{left} after the end")
