"""Writes answers side by side: one that comes joins those that are being written, and one that is done leaves them."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from moai.answers import Answer, Decoding, EncodedImage
from moai.evidence import Taking
from moai.inference.choosing import choose
from moai.inference.generation import Request
from moai.loading import in_memory
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.processing import MoAIProcessor
from moai.serving.metrics import Metrics
from moai.serving.together.slots import Slots
from moai.streaming import PieceStreamer
from moai.wording import answer_of, ends_of, stops_of


@dataclass(eq=False)
class Row:
    """One answer to write, of at most `room` tokens; `stop` calls it off. `answer` will have it."""

    picture: EncodedImage
    prompt: Sequence[int]
    settings: Decoding
    room: int
    stop: threading.Event
    streamer: PieceStreamer | None = None
    answer: "Future[Answer]" = field(default_factory=Future)
    said: list[int] = field(default_factory=list)
    taking: Taking | None = None
    generator: torch.Generator | None = None
    started: float = field(default_factory=time.perf_counter)


class Writer:
    """A thread that writes up to `rows` answers at once.

    Between two steps at most one prompt is read, so that no answer waits for long. Answers that are sampled draw by a
    generator of their own. `alone` answers a row of a model that the fast path does not know.
    """

    def __init__(
        self,
        model: MoAIForConditionalGeneration,
        processor: MoAIProcessor,
        rows: int,
        metrics: Metrics,
        alone: Callable[[Row], Answer],
    ):
        self.model, self.processor, self.rows, self.metrics, self.alone = model, processor, rows, metrics, alone
        self._waiting: deque[Row] = deque()
        self._changed = threading.Condition()
        self._slots: Slots | None = None
        self._written: list[Row] = []
        self._thread: threading.Thread | None = None

    def write(self, row: Row) -> None:
        """Takes a row; its answer comes as `row.answer`."""
        with self._changed:
            self._waiting.append(row)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        # Compiled code tells inference tensors from others, and would compile twice.
        with torch.inference_mode(False), torch.no_grad():
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._written)
                    called_off = [row for row in self._waiting if row.stop.is_set()]
                    for row in called_off:
                        self._waiting.remove(row)
                    free = len(self._written) < self.rows
                    next_row = self._waiting.popleft() if self._waiting and free else None
                for row in called_off:
                    self._give(row)
                try:
                    self._turn(next_row)
                except BaseException as error:
                    self._fail(error)

    def _turn(self, next_row: Row | None) -> None:
        """Lets go who called it off, reads one prompt, and writes one more token of each answer."""
        for slot in reversed(range(len(self._written))):
            if self._written[slot].stop.is_set():
                self._end(slot)
        if next_row is not None:
            self._admit(next_row)
        if self._written:
            assert self._slots is not None
            self.metrics.rows.observe(len(self._written))
            with in_memory(self.model.device, f"{len(self._written)} answers", "ask for less at a time"):
                logits = self._slots.step()
            for slot in reversed(range(len(self._written))):
                self._hear(slot, logits[slot])

    def _admit(self, row: Row) -> None:
        try:
            row.taking = Taking(self.model)
            request = self._request(row, row.taking)
            if request is None:
                row.answer.set_result(self.alone(row))
                return
        except BaseException as error:  # nothing was begun that others could feel
            row.answer.set_exception(error)
            return
        self._written.append(row)
        if self._slots is None:
            self._slots = Slots(self.model, self.rows)
        with in_memory(self.model.device, "1 question", "load the model quantised"):
            logits = self._slots.read(request)
        if row.settings.temperature > 0:
            row.generator = torch.Generator()
            row.generator.seed() if row.settings.seed is None else row.generator.manual_seed(row.settings.seed)
        if row.streamer is not None:
            row.streamer.put(torch.tensor(row.prompt))
        self._hear(len(self._written) - 1, logits)

    def _request(self, row: Row, taking: Taking) -> Request | None:
        if not row.picture.inputs and self.model.taught_from is not None:
            return None  # another model answers without a picture
        device = self.model.device
        inputs: dict[str, Any] = {name: value.to(device) for name, value in row.picture.inputs.items()}
        # A copy, since tensors of inference mode would be compiled for once more.
        inputs = {name: value.clone() if value.is_inference() else value for name, value in inputs.items()}
        inputs["input_ids"] = torch.tensor([list(row.prompt)], device=device)
        pad_id = self.processor.tokenizer.pad_token_id
        arguments = row.settings.arguments() | {"max_new_tokens": row.room, "pad_token_id": pad_id}
        return Request.of(self.model, inputs | arguments | taking.arguments)

    def _hear(self, slot: int, logits: torch.Tensor) -> None:
        """Takes down the new token of a row, and ends the row where its answer does."""
        row, slots = self._written[slot], self._slots
        assert slots is not None
        if row.generator is not None:
            settings = row.settings
            drawn = choose(logits[None].float().cpu(), settings.temperature, settings.top_p, row.generator)
            slots.choose(slot, int(drawn))
        token = slots.tokens[slot]
        row.said.append(token)
        if row.streamer is not None:
            try:
                row.streamer.put(torch.tensor([token]))
            except Exception:  # whoever listened is gone
                row.stop.set()
        ended = token in ends_of(self.model) or len(row.said) >= row.room
        stops = stops_of(self.processor, row.settings)
        if not ended and stops and row.streamer is not None:
            ended = any(stop in row.streamer.text for stop in stops)
        if ended:
            self._end(slot)

    def _end(self, slot: int) -> None:
        row, last = self._written[slot], self._written.pop()
        if last is not row:
            self._written[slot] = last
        assert self._slots is not None
        if row.taking is not None and row.taking.experts is not None:
            row.taking.experts.said = self._slots.routes(slot, len(row.prompt))
        self._give(row)
        self._slots.drop(slot)

    def _give(self, row: Row) -> None:
        """The row's answer, of what was said so far."""
        try:
            if row.streamer is not None:
                row.streamer.end()
            timings = {"generate": time.perf_counter() - row.started}
            ends, settings = ends_of(self.model), row.settings
            said = answer_of(self.processor, ends, row.said, row.prompt, row.picture, settings, timings, row.room)
            if row.taking is not None and said.usage is not None:
                said = replace(said, **vars(row.taking.told([said.usage.new_tokens])[0]))
            row.answer.set_result(said)
        except Exception as error:
            row.answer.set_exception(error)

    def _fail(self, error: BaseException) -> None:
        """Tells all that are being written, since what lies in the caches is not known, and begins anew."""
        for row in self._written:
            row.answer.set_exception(error)
        self._written, self._slots = [], None
