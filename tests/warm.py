"""Commands in processes of their own, forked from one that has imported the libraries: it takes seconds each time."""

import contextlib
import functools
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

LIBRARIES = (
    "torch._dynamo", "torchvision", "timm", "scipy.optimize", "tokenizers", "safetensors.torch", "yaml", "omegaconf",
    "typer", "rich.console",
)  # fmt: skip
"""What commands import, where it is installed; nothing of this project, nothing optional, and not transformers."""
MORE = (
    "transformers.modeling_utils", "transformers.models.auto", "transformers.models.llama.modeling_llama", "accelerate",
    "peft", "cv2", "supervision", "onnxruntime", "rapidocr", "ultralytics",
)  # fmt: skip


def run(
    words: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: int = 300, more: bool = True
) -> subprocess.CompletedProcess:
    """As `subprocess.run` of Python's -m MODULE, -c CODE or a file, with its output as text; rc -14 is out of time.

    more: whether it finds `MORE` imported too.
    """
    assert words[0] == sys.executable, words
    with tempfile.NamedTemporaryFile("r+") as out, tempfile.NamedTemporaryFile("r+") as err:
        asked = {"words": list(words[1:]), "cwd": str(cwd), "env": dict(env), "timeout": timeout, "more": more}
        process = _process()
        process.stdin.write(json.dumps(asked | {"out": out.name, "err": err.name}) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


@functools.cache
def _process() -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-P", __file__]
    environment |= {"HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _import(names: Sequence[str]) -> None:
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _next_command(requests: TextIO, answers: TextIO, complete: bool = False) -> dict | None:
    """In the parent None at the end of what is asked; in a child what it is to run. complete: `MORE` is imported."""
    other = None
    for line in iter(requests.readline, ""):
        asked = json.loads(line)
        if asked["more"] and not complete:
            if other is None:
                here, there = socket.socketpair()
                if os.fork() == 0:
                    here.close()
                    _import(MORE)
                    return _next_command(there.makefile("r"), there.makefile("w"), complete=True)
                there.close()
                other = here.makefile("r"), here.makefile("w")
            print(line, end="", file=other[1], flush=True)
            print(other[0].readline(), end="", file=answers, flush=True)
            continue
        if (child := os.fork()) == 0:
            return asked
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, file=answers, flush=True)
    return None


def _ended(asked: dict) -> int:
    """Runs a command; its exit code."""
    try:
        _become(asked)
    except SystemExit as left:
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _become(asked: dict) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(asked["out"], os.O_WRONLY), 1)
    os.dup2(os.open(asked["err"], os.O_WRONLY), 2)
    signal.alarm(asked["timeout"])
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.path[:0] = [one for one in asked["env"].get("PYTHONPATH", "").split(os.pathsep) if one]
    what, *rest = asked["words"]
    if what == "-m":
        sys.path.insert(0, asked["cwd"])
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif what == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path.insert(0, str(Path(what).parent.absolute()))
        sys.argv = [what, *rest]
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    _answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _import(LIBRARIES)
    if (_asked := _next_command(sys.stdin, _answers)) is not None:
        _code = _ended(_asked)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_code)  # libraries would wait for threads that a fork does not have
