"""Several processes that train one model, forked from this one, which has everything imported."""

import multiprocessing
import os
import socket
from collections.abc import Callable, Sequence

from accelerate.state import AcceleratorState

from moai.training import command


def train_in_processes(count: int, argv: Sequence[str], prepare: Callable[[], None] = lambda: None) -> list[int | None]:
    """What each of `count` processes returns from `train.py argv`, as torchrun would start them on this host."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def train(number: int) -> None:
        names = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        os.environ |= {name: str(value) for name, value in names.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        AcceleratorState._reset_state(reset_partial_state=True)
        prepare()
        os._exit(command.main([str(one) for one in argv]))

    context = multiprocessing.get_context("fork")
    started = [context.Process(target=train, args=(number,)) for number in range(count)]
    for one in started:
        one.start()
    for one in started:
        one.join(120)
        one.kill()
    return [one.exitcode for one in started]
