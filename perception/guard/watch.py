"""Experts run in threads of their own and are waited for as long as their time allows, and no longer."""

import atexit
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import Any

TIME_LIMIT = 60.0
"""Seconds that an expert may take for a picture, where nobody says otherwise."""
LOADING = 600.0
"""Seconds that an expert may take to load, which may be a download."""
MAX_HUNG = 3
"""Calls of one expert that may hang at once; until one of them ends, it is not asked again."""
AT_EXIT = 5.0
"""Seconds that the end of the program waits for experts that are at work."""
_LOOK = 0.5
"""Seconds after which a waiter looks whether an expert has gone on from loading to its work."""
_IDLE = 30.0


class Hangs(RuntimeError):
    """An expert took longer than its time; the message is one sentence for a person."""


class Threads:
    """As many threads as there are calls at once. They do not hold up the end of the program, as those of a
    ThreadPoolExecutor do: one that hangs would for ever."""

    def __init__(self, name: str):
        self.name = name
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)

    def submit(self, call: Callable[[], Any]) -> Future:
        """Runs a call in one of the threads."""
        future: Future = Future()
        self._calls.put((future, call))
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._serve, name=self.name, daemon=True).start()
        return future

    def each(self, call: Callable[[Any], Any], items: Iterable[Any], at_once: int) -> list:
        """`call` of each item, in their order, at most so many at once."""
        waiting = deque(enumerate(items))

        def work() -> list[tuple[int, Any]]:
            done: list[tuple[int, Any]] = []
            while True:
                try:
                    number, item = waiting.popleft()
                except IndexError:
                    return done
                done.append((number, call(item)))

        futures = [self.submit(work) for _ in range(min(at_once, len(waiting)))]
        results = dict(pair for future in futures for pair in future.result())
        return [results[number] for number in range(len(results))]

    def _serve(self) -> None:
        while True:
            try:
                future, call = self._calls.get(timeout=_IDLE)
            except queue.Empty:
                if self._idle.acquire(blocking=False):
                    return
                continue  # a call was left to this thread at this moment
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:
                error = raised
            self._idle.release()  # before anybody hears of the end and brings the next call
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
            del future, call, result, error


class Call:
    """One call of an expert: `loading` first, if there is any, then `work`. It ends with a result or an error."""

    def __init__(self, work: Callable[[], Any], loading: Callable[[], Any] | None, seconds: float | None):
        self.work, self.loading, self.allowed = work, loading, seconds
        self.started = time.monotonic()
        self.loads = loading is not None
        self.result: Any = None
        self.error: BaseException | None = None
        self.seconds = 0.0
        self.before = 1

    def __call__(self) -> None:
        started = time.perf_counter()
        try:
            if self.loading is not None:
                self.loading()
            self.loads, self.started = False, time.monotonic()
            self.result = self.work()
        except BaseException as error:  # SystemExit too: an expert ends no program
            self.error = error
        self.seconds = time.perf_counter() - started


Started = tuple[str, Call, Future]


class Watch:
    """Runs the calls of several experts, each for at most `seconds` (None: however long it takes).

    Experts may let calls wait for each other. So a call's time begins anew when another of its expert ends, up to as
    many times as there were calls under way when it began.
    """

    def __init__(self, seconds: float | None):
        self.seconds = seconds
        self._threads = Threads("expert")
        self._lock = threading.Lock()
        self._running: dict[str, int] = {}
        self._ended: dict[str, float] = {}
        self._hung: dict[str, int] = {}

    def start(
        self, name: str, work: Callable[[], Any], loading: Callable[[], Any] | None = None, share: int = 1
    ) -> Started:
        """Begins a call of the expert `name`, which has `share` times the seconds. Raises Hangs where too many hang."""
        call = Call(work, loading, None if self.seconds is None else self.seconds * share)
        with self._lock:
            if self._hung.get(name, 0) >= MAX_HUNG:
                raise Hangs(f"it still hangs at {MAX_HUNG} earlier pictures")
            self._running[name] = self._running.get(name, 0) + 1
            call.before = self._running[name] - self._hung.get(name, 0)
        future = self._threads.submit(call)
        _AT_WORK.add(future)
        future.add_done_callback(lambda _: self._end(name))
        return name, call, future

    def finish(self, started: Started) -> Call:
        """The call when it has ended; raises Hangs when its time is over."""
        name, call, future = started
        while not future.done():
            left = self._left(name, call)
            if left <= 0:
                with self._lock:
                    if future.done():
                        break
                    self._hung[name] = self._hung.get(name, 0) + 1
                _AT_WORK.discard(future)
                future.add_done_callback(lambda _: self._recover(name))
                doing = "loading" if call.loads else "at work"
                allowed = LOADING if call.loads else call.allowed
                raise Hangs(f"it was still {doing} after {allowed:g} seconds and is not waited for")
            wait([future], timeout=min(left, _LOOK))
        return call

    def _left(self, name: str, call: Call) -> float:
        now = time.monotonic()
        if call.loads:
            return call.started + LOADING - now if call.allowed is not None else _LOOK
        if call.allowed is None:
            return _LOOK
        with self._lock:
            since = max(call.started, self._ended.get(name, 0.0))
        return min(since + call.allowed, call.started + call.allowed * call.before) - now

    def _end(self, name: str) -> None:
        with self._lock:
            self._running[name] -= 1
            self._ended[name] = time.monotonic()

    def _recover(self, name: str) -> None:
        with self._lock:
            self._hung[name] -= 1


_AT_WORK: "weakref.WeakSet[Future]" = weakref.WeakSet()

os.register_at_fork(after_in_child=_AT_WORK.clear)  # its threads are not there


@atexit.register
def _let_finish() -> None:
    """Libraries that are at work while the interpreter goes would crash."""
    wait(list(_AT_WORK), timeout=AT_EXIT)
