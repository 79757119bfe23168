"""Answers piece by piece, while they are being generated."""

import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria
from transformers.generation.streamers import BaseStreamer


def spoken(text: str, stop: str | Sequence[str] | None) -> str:
    """Generated text as the answer: up to `stop`, or the first of several, without blank edges."""
    for one in _several(stop):
        text = text.split(one)[0]
    return text.strip()


def _several(stop: str | Sequence[str] | None) -> Sequence[str]:
    return ((stop,) if stop else ()) if stop is None or isinstance(stop, str) else stop


class PieceStreamer(BaseStreamer):
    """Decodes one row's new tokens as they come and hands every finished piece of text to `emit`.

    The pieces add up to `spoken(text, stop)`: what may turn out to be a stop text or a blank end is held back. `text`
    is all that was generated so far.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        emit: Callable[[str], None],
        stop: str | Sequence[str] | None = None,
    ):
        self.tokenizer = tokenizer
        self.emit = emit
        self.stop = _several(stop)
        self.ids: list[int] = []
        self.text = ""
        self.sent = ""
        self.prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        """Called by `generate` with the prompt first, then with each new token."""
        if not self.prompt_seen:
            self.prompt_seen = True
            return
        self.ids += value.flatten().tolist()
        text = self.text = self._text()
        # A character of several bytes arrives in parts; wait for all of them.
        if text.endswith("\ufffd"):
            return
        begun = (length for stop in self.stop for length in range(1, len(stop)) if text.endswith(stop[:length]))
        self._send(text[: len(text) - max(begun, default=0)])

    def end(self) -> None:
        """Called by `generate` when it is done."""
        self._send(self._text())

    def _text(self) -> str:
        return cast(str, self.tokenizer.decode(self.ids, skip_special_tokens=True))

    def _send(self, text: str) -> None:
        text = spoken(text, self.stop)
        if len(text) > len(self.sent):
            self.emit(text[len(self.sent) :])
            self.sent = text


class StopWhenAsked(StoppingCriteria):
    """Ends generation once `event` is set."""

    def __init__(self, event: threading.Event):
        self.event = event

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs) -> torch.BoolTensor:
        stopped = torch.full((input_ids.shape[0],), self.event.is_set(), device=input_ids.device, dtype=torch.bool)
        return cast(torch.BoolTensor, stopped)


class AnswerStream:
    """Iterates over an answer's pieces of text; `answer` holds the whole once they are through, and `drafts` what it is
    made out of, before its first piece.

    `stop()`, or leaving the loop and closing the stream, ends generation early; what was said so far is the answer. A
    stream that nobody holds any more ends as well. An error while answering is raised in the loop.
    """

    def __init__(self, work: Callable[[Callable[[str], None], threading.Event], object]):
        self._stop = threading.Event()
        self._pieces: queue.Queue = queue.Queue()
        self._ended: dict[str, Any] = {}
        self.drafts: list = []
        # The thread does not hold the stream, or else it would never be given up.
        self._thread = threading.Thread(target=_run, args=(work, self._pieces, self._stop, self._ended), daemon=True)
        weakref.finalize(self, self._stop.set)
        self._thread.start()

    @property
    def answer(self):
        """The whole answer, once its pieces are through."""
        return self._ended.get("answer")

    def __iter__(self) -> Iterator[str]:
        try:
            while (piece := self._pieces.get()) is not None:
                if isinstance(piece, list):
                    self.drafts, piece = piece, ""  # an empty piece, for those who show drafts at once
                yield piece
            self._pieces.put(None)  # a second loop ends at once
        finally:
            self.stop()
        if "error" in self._ended:
            raise self._ended["error"]

    def stop(self) -> None:
        """End generation after the current token and wait for it."""
        self._stop.set()
        self._thread.join()


def _run(work: Callable, pieces: queue.Queue, stop: threading.Event, ended: dict[str, Any]) -> None:
    try:
        ended["answer"] = work(pieces.put, stop)
    except BaseException as error:
        ended["error"] = error
    finally:
        pieces.put(None)
