"""Looks at pictures: those that wait together are seen in one pass of the experts and the vision encoder."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from moai.answers import EncodedImage
from moai.serving.metrics import Metrics
from perception.images import Pixels


@dataclass
class Look:
    """Pictures of one request and the experts that look at them; `moai` False for the plain backbone."""

    pictures: Sequence[Pixels]
    experts: tuple[str, ...]
    moai: bool
    seen: "Future[list[EncodedImage]]" = field(default_factory=Future)


class Looker:
    """Takes looks of the same kind together, up to `rows` pictures at once; `look` does one. Up to `most` threads do so
    side by side, as experts leave most of many cores idle while one picture is read or encoded."""

    def __init__(
        self,
        look: Callable[[Sequence[Pixels], tuple[str, ...], bool], list[EncodedImage]],
        rows: int,
        metrics: Metrics,
        most: int = 1,
    ):
        self.look, self.rows, self.metrics, self.most = look, rows, metrics, most
        self._waiting: deque[Look] = deque()
        self._changed = threading.Condition()
        self._threads = self._idle = 0

    def see(self, pictures: Sequence[Pixels], experts: tuple[str, ...], moai: bool) -> list[EncodedImage]:
        """The pictures, seen; waits for them."""
        look = Look(pictures, experts, moai)
        with self._changed:
            self._waiting.append(look)
            if not self._idle and self._threads < self.most:
                self._threads += 1
                threading.Thread(target=self._run, name="looker", daemon=True).start()
            self._changed.notify()
        return look.seen.result()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._waiting)
                self._idle -= 1
                together = self._taken()
            self.metrics.pictures.observe(sum(len(one.pictures) for one in together))
            self._see(together)

    def _taken(self) -> list[Look]:
        """The look that waits longest, and those like it."""
        first = self._waiting.popleft()
        together, count, rest = [first], len(first.pictures), []
        for one in self._waiting:
            alike = (one.experts, one.moai) == (first.experts, first.moai)
            if alike and count + len(one.pictures) <= self.rows:
                together.append(one)
                count += len(one.pictures)
            else:
                rest.append(one)
        self._waiting = deque(rest)
        return together

    def _see(self, together: list[Look]) -> None:
        pictures = [picture for one in together for picture in one.pictures]
        try:
            seen = iter(self.look(pictures, together[0].experts, together[0].moai))
            for one in together:
                one.seen.set_result([next(seen) for _ in one.pictures])
        except BaseException as error:
            if len(together) == 1:
                together[0].seen.set_exception(error)
                return
            for one in together:  # whoever is not to blame is answered
                self._see([one])
