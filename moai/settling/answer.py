"""An answer as it is given: what the model wrote, settled with what the experts found."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from moai.answers import Answer, EncodedImage, timed
from moai.settling import detections
from moai.settling.continuations import continuation_losses
from moai.settling.reading import kind_of, may_become_one, readings
from perception.scene import Scene

if TYPE_CHECKING:
    from moai.assistant import MoAI

Losses = Callable[[Sequence[str]], Sequence[float]]


def settle(question: str, answer: str, scene: Scene, losses: Losses) -> str:
    """The answer that stands to a question: the one that the model wrote, or, where experts speak against it, the
    likeliest of what could stand there instead (`moai.settling.reading`, `moai.settling.detections`).

    losses: nats of each text behind the question, in the model's view.
    """
    found = _instead(question, answer, scene)
    if not found:
        return answer
    texts = list(found)
    least = dict(zip(texts, losses(texts), strict=True))
    best = max(texts, key=lambda one: found[one] - least[one])
    same = detections.number_in(best) == detections.number_in(answer.strip().rstrip(".")) is not None
    return answer if same or answer.lower().startswith(best.lower()) else best


def _instead(question: str, answer: str, scene: Scene) -> dict[str, float]:
    """What could stand there, with what experts say for it in nats."""
    if read := readings(answer, scene):
        return dict.fromkeys(read, 0.0)
    claim = detections.claim_of(question, scene)
    return {} if claim is None else detections.weights(claim, answer, scene)


def reason(written: str) -> str:
    """Why something else is said than the model wrote, as the end of a sentence about it."""
    return "was read nowhere in the picture" if kind_of(written) else "goes less well with what was detected"


def settled(
    assistant: "MoAI",
    picture: EncodedImage,
    question: str,
    prompt: Sequence[int],
    answer: Answer,
    stop: threading.Event | None = None,
) -> Answer:
    """An assistant's answer to the question that ends the prompt about the picture, or the one that stands instead of
    it; the answer, too, where memory does not suffice to compare."""
    if stop is not None and stop.is_set():
        return answer
    processor, timings = assistant.processor, dict(answer.timings)

    def losses(texts: Sequence[str]) -> list[float]:
        targets = [processor.encode_text(processor.style.answer.format(one)) for one in texts]
        pad_id = processor.tokenizer.pad_token_id
        with timed(timings, "settling"), assistant.passing(1, "question"):
            return continuation_losses(assistant.model, prompt, targets, pad_id, picture.inputs)

    try:
        text = settle(question, answer.text, picture.scene, losses)
    except ValueError:  # not enough memory to compare; what was written is better than nothing
        return answer
    if text == answer.text:
        return answer
    stages = {name: seconds for name, seconds in timings.items() if name != "total"}
    return replace(answer, text=text, instead_of=answer.text, timings=stages | {"total": sum(stages.values())})


class Held:
    """Passes the pieces of an answer to a question about a scene on as soon as nothing else can stand instead of it."""

    def __init__(self, emit: Callable[[str], None], question: str, scene: Scene):
        self.emit, self._waiting, self._said = emit, "", False
        self._claimed = detections.claim_of(question, scene) is not None
        self._free = not (scene.text_lines or self._claimed)

    def __call__(self, piece: str) -> None:
        """One more piece."""
        self._waiting += piece
        claimed = self._claimed and len(self._waiting) <= detections.LONGEST
        if self._free or not (claimed or may_become_one(self._waiting)):
            self._free = self._said = True
            self.emit(self._waiting)
            self._waiting = ""

    def end(self, answer: str) -> None:
        """The whole answer, of which nothing can have changed that was passed on."""
        if not self._said and answer:
            self.emit(answer)
