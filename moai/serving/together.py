"""The assistant behind a server: requests that wait together are answered together."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from moai.answers import Answer, Decoding, EncodedImage
from moai.assistant import MoAI
from moai.serving.metrics import Metrics
from moai.streaming import PieceStreamer
from moai.wording import stops_of


class Together(MoAI):
    """An assistant like the one that it is made of, for many askers at once."""

    def __init__(self, assistant: MoAI, rows: int, metrics: Metrics):
        super().__init__(assistant.model, assistant.processor, assistant.perception)
        self.rows, self.metrics = rows, metrics

    def check_experts(self, experts: Sequence[str] | str | None) -> None:
        """Raises ValueError with one sentence for experts that are unknown or not there."""
        self._experts(experts)

    def say(
        self,
        picture: EncodedImage,
        prompt: Sequence[int],
        settings: Decoding,
        count: int,
        emit: Callable[[int, str], None],
        stop: threading.Event,
    ) -> list[Answer]:
        """`count` answers to one prompt; `emit` is called with the number of an answer and the next piece of it.

        Answers that are sampled with a seed have seeds that count up from it.
        """
        answers = []
        for number in range(count):
            own = settings if settings.seed is None else replace(settings, seed=(settings.seed + number) % 2**63)
            streamer = PieceStreamer(
                self.processor.tokenizer,
                lambda piece, number=number: emit(number, piece),
                stops_of(self.processor, own),
            )
            answers += self._answer([picture], [prompt], own, streamer, stop)
        return answers
