"""Answers piece by piece, while they are being generated."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import cast

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria
from transformers.generation.streamers import BaseStreamer


def spoken(text: str, stop: str | None) -> str:
    """Generated text as the answer: up to `stop`, without blank edges."""
    return (text.split(stop)[0] if stop else text).strip()


class PieceStreamer(BaseStreamer):
    """Decodes one row's new tokens as they come and hands every finished piece of text to `emit`.

    The pieces add up to `spoken(text, stop)`: what may turn out to be the stop text or a blank end is held back.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, emit: Callable[[str], None], stop: str | None = None):
        self.tokenizer = tokenizer
        self.emit = emit
        self.stop = stop
        self.ids: list[int] = []
        self.sent = ""
        self.prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        """Called by `generate` with the prompt first, then with each new token."""
        if not self.prompt_seen:
            self.prompt_seen = True
            return
        self.ids += value.flatten().tolist()
        text = self._text()
        # A character of several bytes arrives in parts; wait for all of them.
        if text.endswith("\ufffd"):
            return
        stop = self.stop or ""
        for length in range(len(stop) - 1, 0, -1):
            if text.endswith(stop[:length]):
                text = text[:-length]
                break
        self._send(text)

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
    """Iterates over an answer's pieces of text; `answer` holds the whole once they are through.

    `stop()`, or leaving the loop and closing the stream, ends generation early; what was said so far is the answer.
    An error while answering is raised in the loop.
    """

    def __init__(self, work: Callable[[Callable[[str], None], threading.Event], object]):
        self.answer = None
        self._stop = threading.Event()
        self._pieces: queue.Queue = queue.Queue()
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self.answer = work(self._pieces.put, self._stop)
            except BaseException as error:
                self._error = error
            finally:
                self._pieces.put(None)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[str]:
        try:
            while (piece := self._pieces.get()) is not None:
                yield piece
            self._pieces.put(None)  # a second loop ends at once
        finally:
            self.stop()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End generation after the current token and wait for it."""
        self._stop.set()
        self._thread.join()
