"""How far a command is, in one line."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counted(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function that takes how many are done and how many there are, and keeps a line about it on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    begun: list[tuple[int, float]] = []
    progress = Progress(*columns, console=Console(stderr=True))
    task = progress.add_task("", total=None, rate="")

    def told(done: int, rows: int) -> None:
        if not begun:  # what is wrong before anything is done is told without a line of progress
            begun.append((done, time.monotonic()))
            progress.start()
        before, started = begun[0]
        seconds = time.monotonic() - started
        rate = f"{(done - before) / seconds:.1f} {what}/s" if done > before and seconds else ""
        progress.update(task, completed=done, total=rows, rate=rate)

    try:
        yield told
    finally:
        if begun:
            progress.stop()
