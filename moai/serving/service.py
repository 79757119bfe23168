"""One request from its body to its last word."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import torch
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from moai.answers import Answer
from moai.assistant import NO_PICTURE
from moai.serving.admission import Admission, Budget
from moai.serving.errors import ApiError, told
from moai.serving.metrics import Metrics
from moai.serving.pictures import Pictures
from moai.serving.replies import DONE, Completion, Json, event, usage
from moai.serving.schema import ChatRequest, parsed
from moai.serving.settings import Settings
from moai.serving.together.assistant import Together, usual_looks
from moai.web.engine import Engine

MAX_HELD_BYTES = 2**30
"""Bytes of decoded pictures that wait for the experts."""
_LOADED_AT_ONCE = 2


class Service:
    """Answers requests with the assistant of an engine, within the limits of `settings`."""

    def __init__(self, engine: Engine, settings: Settings):
        self.engine, self.settings = engine, settings
        self.metrics = Metrics()
        self.admission = Admission(settings, self.metrics)
        self.pictures = Pictures(settings)
        self.created = int(time.time())
        self._held = Budget(MAX_HELD_BYTES)
        self._loading = threading.Semaphore(_LOADED_AT_ONCE)
        self._pool = ThreadPoolExecutor(settings.max_requests, thread_name_prefix="request")
        self._wrapping = threading.Lock()

    @property
    def assistant(self) -> Together:
        """The assistant, which the page asks as well. Raises ApiError while it is not there."""
        if not self.engine.ready:
            if self.engine.problem is not None:
                raise ApiError(503, f"the model could not be loaded: {self.engine.problem}", "not_loaded")
            raise ApiError(503, f"the model is loading ({self.engine.stage}); try again soon", "loading", 5)
        with self._wrapping:
            if not isinstance(self.engine.assistant, Together):
                alone, workers = self.engine.assistant, self.settings.workers
                if workers is None:
                    workers = workers_for(alone.device)
                if workers:
                    alone.perception.spread(workers)
                self.engine.assistant = Together(alone, self.settings.rows, self.metrics, workers)
            return self.engine.assistant

    @property
    def model(self) -> str:
        """The name that the model answers to."""
        return self.engine.about.model if self.engine.about is not None else ""

    async def chat(self, request: Request) -> Response:
        """The reply to one request. Raises ApiError or ValueError."""
        held = ExitStack()
        try:
            assistant = self.assistant
            held.enter_context(self.admission.place())
            held.enter_context(self.metrics.seconds.time())
            asked = parsed(await _body(request, self.settings))
            job = Job(self, assistant, asked)
            held.callback(job.stop.set)
            job.start(self._pool)
            gone = asyncio.ensure_future(_gone(request))
            held.callback(gone.cancel)
            await job.ready(gone)
            if asked.stream:
                return _Events(job.chunks(gone), held.pop_all().close)
            return Json(job.completion.whole(await job.answers(gone)))
        finally:
            held.close()

    def load(self, url: str, held: ExitStack):
        """The picture of a request, with the room that it takes until `held` is closed. Raises ImageError."""
        content = self.pictures.content(url)
        with self._loading:
            pixels = self.pictures.pixels(content)
            held.enter_context(self._held.share(pixels.nbytes))
        return pixels

    def close(self) -> None:
        """Gives back the threads, and ends processes that look at pictures."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if isinstance(self.engine.assistant, Together):
            self.engine.assistant.perception.spread(0)


def workers_for(device: torch.device) -> int:
    """How many processes look at pictures beside a server whose model is there. On a GPU the experts' time is mostly
    Python's own, of which a process does one thing at a time; on a processor it is that of networks."""
    return usual_looks() if device.type == "cuda" else 0


class Job:
    """One request on its way: a thread of its own works, and what happens there arrives in the event loop."""

    def __init__(self, service: Service, assistant: Together, asked: ChatRequest):
        settings = service.settings
        if asked.model not in (None, service.model):
            raise ApiError(404, f"there is no model {asked.model!r} here; ask {service.model}", "model_not_found")
        if not 1 <= asked.choices <= settings.max_choices:
            raise ApiError(400, f"n is {asked.choices}; allowed is 1 to {settings.max_choices}")
        self.service, self.assistant, self.asked = service, assistant, asked
        self.decoding = asked.decoding(settings.max_new_tokens)
        self.url = asked.picture
        with_usage = asked.stream_options is not None and asked.stream_options.include_usage
        self.completion = Completion(service.model, asked.moai.shown, with_usage)
        self.stop = threading.Event()
        self._started: float | None = time.perf_counter()
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue = asyncio.Queue()

    def start(self, pool: ThreadPoolExecutor) -> None:
        """Begin to work."""
        pool.submit(self._work)

    def _post(self, *what) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, what)

    def _work(self) -> None:
        try:
            with ExitStack() as held:
                messages = self.asked.conversation()
                prompt = self.assistant.prompt_ids(messages, self.url is not None)
                picture, extras = NO_PICTURE, self.asked.moai
                self.assistant.check_experts(extras.experts)
                pixels = None if self.url is None else self.service.load(self.url, held)
                self._post("ready")
                if pixels is not None and not self.stop.is_set():
                    picture = self.assistant.encode(pixels, extras.experts, extras.moai)
            answers = self.assistant.say(
                picture,
                messages,
                prompt,
                self.decoding,
                self.asked.choices,
                lambda *piece: self._post("piece", *piece),
                self.stop,
            )
            self._post("answers", answers)
        except BaseException as error:
            self._post("error", error)

    async def _next(self, gone: asyncio.Future) -> tuple:
        event = asyncio.ensure_future(self._events.get())
        await asyncio.wait({event, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not event.done():
            event.cancel()
            self.service.metrics.gone.inc()
            raise ApiError(499, "the client has left", "gone")
        kind, *what = event.result()
        if kind == "error":
            raise told(what[0])
        return kind, *what

    async def ready(self, gone: asyncio.Future) -> None:
        """Waits until nothing of the request can be wrong any more. Raises ApiError."""
        await self._next(gone)

    async def answers(self, gone: asyncio.Future) -> list[Answer]:
        """The answers, once they are whole."""
        while (arrived := await self._next(gone))[0] != "answers":
            self._note_first()
        self._count(arrived[1])
        return arrived[1]

    async def chunks(self, gone: asyncio.Future) -> AsyncIterator[bytes]:
        """The answers as a stream of events."""
        begun: set[int] = set()
        try:
            while (arrived := await self._next(gone))[0] != "answers":
                _, index, text = arrived
                self._note_first()
                yield event(self.completion.piece(index, text, index not in begun))
                begun.add(index)
            self._count(arrived[1])
            for chunk in self.completion.last(arrived[1], begun):
                yield event(chunk)
            yield DONE
        except ApiError as error:
            yield event(error.content())

    def _note_first(self) -> None:
        if self._started is not None:
            self.service.metrics.first.observe(time.perf_counter() - self._started)
            self._started = None

    def _count(self, answers: list[Answer]) -> None:
        counts = usage(answers)
        self.service.metrics.prompt_tokens.inc(counts["prompt_tokens"])
        self.service.metrics.new_tokens.inc(counts["completion_tokens"])


class _Events(StreamingResponse):
    """A stream of events; `closing` is called when it is over, however it ends."""

    def __init__(self, content: AsyncIterator[bytes], closing):
        super().__init__(content, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._closing = closing

    async def __call__(self, scope, receive, send) -> None:
        try:
            await self.stream_response(send)  # whether the client is there is watched where the words come from
        except OSError:
            pass  # it has left
        finally:
            self._closing()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request, settings: Settings) -> bytes:
    """The body, of a client that neither sends too much nor takes too long. Raises ApiError."""
    limit, body = settings.max_body_bytes, bytearray()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        # Anything else a page of another site may send from a visitor's browser without being asked.
        raise ApiError(415, "the body must be JSON, with Content-Type: application/json")
    told_length = request.headers.get("content-length", "")
    too_large = ApiError(413, f"the body is too large; up to {limit} bytes are taken", "too_large")
    if told_length.isdecimal() and int(told_length) > limit:
        raise too_large
    try:
        async with asyncio.timeout(settings.body_seconds):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise ApiError(408, f"the body did not come within {settings.body_seconds:.0f} s", "timeout") from None
    return bytes(body)
