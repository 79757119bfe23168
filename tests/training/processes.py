"""Several processes that train one model, forked from one that has everything imported and has computed nothing."""

import multiprocessing
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence

from accelerate.state import AcceleratorState

from moai.training import command


def train_in_processes(count: int, argv: Sequence[str]) -> list[int | None]:
    """What each of `count` processes returns from `train.py argv`, as torchrun would start them on this host; what they
    say is printed."""
    return in_processes(count, command.main, [str(one) for one in argv])


def in_processes(
    count: int, function: Callable[..., int | None], *given, start: str = "forkserver"
) -> list[int | None]:
    """What each of `count` processes, which can find one another, returns from `function(*given)`: 0 for None, 1 where
    it raises. What they say is printed. start: of multiprocessing; on a GPU only "spawn" will do, since what others are
    forked from may have asked for the device."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not forked from this process: where gradients were computed before, a child cannot compute any.
    context = multiprocessing.get_context(start)
    context.set_forkserver_preload([__name__, "tests.ready_to_train"])
    with tempfile.NamedTemporaryFile("r") as said:
        each = [(number, count, port, said.name, function, given) for number in range(count)]
        started = [context.Process(target=_run, args=args) for args in each]
        for one in started:
            one.start()
        for one in started:
            one.join(120)
            one.kill()
        print(said.read())
    return [one.exitcode for one in started]


def _run(number: int, count: int, port: int, said: str, function: Callable[..., int | None], given: tuple) -> None:
    output = os.open(said, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    names = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ |= {name: str(value) for name, value in names.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        code = function(*given) or 0
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
