"""Commands in processes of their own, forked from one that has imported the libraries: it takes seconds each time."""

import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

LIBRARIES = (
    "torch._dynamo", "torchvision", "timm", "scipy.optimize", "tokenizers", "safetensors.torch", "yaml", "omegaconf",
    "typer", "rich.console",
)  # fmt: skip
"""What commands import, where it is installed; nothing of this project, nothing optional, and not transformers."""
MORE = (
    "transformers.modeling_utils", "transformers.models.auto", "transformers.models.llama.modeling_llama", "accelerate",
    "peft", "cv2", "supervision", "onnxruntime", "rapidocr", "gradio", "uvicorn",
)  # fmt: skip
_LONGEST = 2**17
"""Bytes of a command with its environment."""


class Started:
    """A command under way, of which one asks what one may ask of a `subprocess.Popen`."""

    def __init__(self, words: Sequence[str], cwd: Path, env: Mapping[str, str], out: int, err: int, more: bool = True):
        """out, err: where it writes, open files. more: whether it finds `MORE` imported too."""
        assert words[0] == sys.executable, words
        asked = {"words": list(words[1:]), "cwd": str(cwd), "env": dict(env), "more": more}
        status, theirs = os.pipe()
        socket.send_fds(_parent(), [json.dumps(asked).encode()], [out, err, theirs])
        os.close(theirs)
        self._status = os.fdopen(status)
        self.pid = int(self._status.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """To it, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it by force."""
        self.send_signal(signal.SIGKILL)


def run(
    words: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: int = 300, more: bool = True
) -> subprocess.CompletedProcess:
    """As `subprocess.run` of Python's -m MODULE, -c CODE or a file, with its output as text; rc -14 is out of time.

    more: whether it finds `MORE` imported too.
    """
    with tempfile.NamedTemporaryFile("r+") as out, tempfile.NamedTemporaryFile("r+") as err:
        process = Started(words, cwd, env, out.fileno(), err.fileno(), more)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGALRM)
        code = process.wait()
        for file in (out, err):  # it wrote at the same place
            file.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


@functools.cache
def _parent() -> socket.socket:
    """Where the process that has the libraries hears what to run."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1"}
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        subprocess.Popen([sys.executable, "-P", __file__], stdin=there, stdout=subprocess.DEVNULL, env=environment)
    return here


def _import(names: Sequence[str]) -> None:
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # what is forked need not look through it


def _next_command(requests: socket.socket, complete: bool = False) -> dict | None:
    """In the parent None at the end of what is asked; in a child what it is to run. complete: `MORE` is imported."""
    other = None
    while True:
        with contextlib.suppress(ChildProcessError):  # keepers that have ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        message, files, *_ = socket.recv_fds(requests, _LONGEST, 3)
        if not message:
            return None
        asked = json.loads(message)
        if asked["more"] and not complete:
            if other is None:
                other, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                if os.fork() == 0:
                    for file in (requests, other):
                        file.close()
                    for file in files:
                        os.close(file)
                    _import(MORE)
                    return _next_command(there, complete=True)
                there.close()
            socket.send_fds(other, [message], files)
        elif os.fork() == 0:
            if _kept(files[2]):
                return asked | {"files": files[:2]}
            os._exit(0)
        for file in files:
            os.close(file)


def _kept(status: int) -> bool:
    """True in a child that is to be the command; its keeper has told `status` its process id and exit code."""
    if (child := os.fork()) == 0:
        os.close(status)
        return True
    os.write(status, f"{child}\n".encode())
    os.write(status, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
    return False


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
    for number, file in enumerate(asked["files"], start=1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.path[:0] = [one for one in asked["env"].get("PYTHONPATH", "").split(os.pathsep) if one]
    words = asked["words"]
    unbuffered = words[0] == "-u"
    for name, each in (("stdout", unbuffered), ("stderr", True)):  # those of the parent know other kinds of files
        old = getattr(sys, name)
        setattr(sys, name, os.fdopen(old.fileno(), "w", 1 if each else -1, old.encoding, old.errors, closefd=False))
    what, *rest = words[unbuffered:]
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
    gc.set_threshold(50_000, 20, 20)
    _requests = socket.socket(fileno=os.dup(0))
    _import(LIBRARIES)
    if (_asked := _next_command(_requests)) is not None:
        _code = _ended(_asked)
        threading._shutdown()  # as Python does at its end: waits for threads of this process
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_code)  # libraries would wait for threads that a fork does not have
