"""The assistant behind a server: requests that wait together are answered together."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from moai.answers import Answer, Decoding, EncodedImage
from moai.assistant import NO_PICTURE, MoAI
from moai.deliberation import Deliberator
from moai.serving.metrics import Metrics
from moai.serving.together.looker import Looker
from moai.serving.together.writer import Row, Writer
from moai.settling import Held, settled
from moai.streaming import PieceStreamer
from moai.wording import stops_of
from perception.images import Pixels
from perception.networks.onnx import cores

_CORES, _LOOKS = 4, 4


def usual_looks() -> int:
    """How many looks at pictures may go on side by side: one for each _CORES of the processor, and at most _LOOKS."""
    return min(cores() // _CORES, _LOOKS)


class Together(MoAI):
    """An assistant like the one that it is made of, for many askers at once, each in a thread of its own.

    Up to `rows` pictures are looked at together, and up to `rows` answers written side by side. As many looks go on
    side by side as is usual, or as there are `workers`, processes in which its experts look.
    """

    def __init__(self, assistant: MoAI, rows: int, metrics: Metrics, workers: int = 0):
        super().__init__(assistant.model, assistant.processor, assistant.perception)
        self.rows, self.metrics = rows, metrics
        self._looker = Looker(self._look, rows, metrics, max(1, usual_looks(), workers))
        self._writer = Writer(self.model, self.processor, rows, metrics, self._alone)

    def warm_up(self) -> None:
        """Writes all rows once, which come one after the other: steps of every size are compiled before anyone asks."""
        messages = [{"role": "user", "content": "Hello"}]
        prompt = self.prompt_ids(messages, with_image=False)
        settings = Decoding(max_new_tokens=self.rows + 1, temperature=1.0)
        self.say(NO_PICTURE, messages, prompt, settings, self.rows, lambda *piece: None, threading.Event())

    def check_experts(self, experts: Sequence[str] | str | None) -> None:
        """Raises ValueError with one sentence for experts that are unknown or not there."""
        self._experts(experts)

    def say(
        self,
        picture: EncodedImage,
        messages: Sequence[dict],
        prompt: Sequence[int],
        settings: Decoding,
        count: int,
        emit: Callable[[int, str], None],
        stop: threading.Event,
    ) -> list[Answer]:
        """`count` answers to messages with their prompt; `emit` is called with the number of an answer and the next
        piece of it.

        Answers that are sampled with a seed have seeds that count up from it.
        """
        question = messages[-1]["content"]
        seeds = [None if settings.seed is None else (settings.seed + number) % 2**63 for number in range(count)]
        if settings.strategy is not None:
            asked = [
                Deliberator(self, picture, messages, prompt, replace(settings, seed=seed), stop=stop) for seed in seeds
            ]
            answers = []
            for number, one in enumerate(asked):
                answers.append(settled(self, picture, question, prompt, one.answer(), stop))
                emit(number, answers[-1].text)
            return answers

        held: list[Held] = []

        def row(numbers: Sequence[int], own: Decoding) -> Row:
            def each(piece: str) -> None:
                for number in numbers:
                    emit(number, piece)

            held.append(Held(each, question, picture.scene))
            streamer = PieceStreamer(self.processor.tokenizer, held[-1], self._stops(own))
            return self._row(picture, prompt, own, streamer, stop)

        if settings.temperature == 0:  # all say the same
            rows, copies = [row(range(count), settings)], count
        else:
            rows, copies = [row([number], replace(settings, seed=seed)) for number, seed in enumerate(seeds)], 1
        answers = [settled(self, picture, question, prompt, one, stop) for one in self._written(rows)]
        for one, answer in zip(held, answers, strict=True):
            one.end(answer.text)
        return answers * copies

    def _stops(self, settings: Decoding) -> tuple[str, ...]:
        return stops_of(self.processor, settings)

    def _row(
        self,
        picture: EncodedImage,
        prompt: Sequence[int],
        settings: Decoding,
        streamer: PieceStreamer | None,
        stop: threading.Event | None,
    ) -> Row:
        if streamer is None and self._stops(settings):
            streamer = PieceStreamer(self.processor.tokenizer, lambda piece: None, self._stops(settings))
        room = min(settings.max_new_tokens, self.room(prompt))
        return Row(picture, prompt, settings, room, threading.Event() if stop is None else stop, streamer)

    def _written(self, rows: Sequence[Row]) -> list[Answer]:
        for row in rows:
            self._writer.write(row)
        return [row.answer.result() for row in rows]

    def _answer(
        self,
        encoded: Sequence[EncodedImage],
        prompts: Sequence[Sequence[int]],
        settings: Decoding,
        streamer: PieceStreamer | None = None,
        stop: threading.Event | None = None,
    ) -> list[Answer]:
        pairs = zip(encoded, prompts, strict=True)
        return self._written([self._row(picture, prompt, settings, streamer, stop) for picture, prompt in pairs])

    def _alone(self, row: Row) -> Answer:
        return super()._answer([row.picture], [row.prompt], row.settings, row.streamer, row.stop)[0]

    def _encode(
        self, pictures: Sequence[Pixels], timings: dict[str, float], experts: Sequence[str] | str | None, moai: bool
    ) -> list[EncodedImage]:
        seen = self._looker.see(pictures, self._experts(experts) if moai else (), moai)
        return [replace(one, timings={**timings, **one.timings}) for one in seen]

    def _look(self, pictures: Sequence[Pixels], experts: tuple[str, ...], moai: bool) -> list[EncodedImage]:
        return super()._encode(pictures, {}, experts, moai)
