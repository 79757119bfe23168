"""Many questions about many pictures, in batches, each picture looked at once."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image

from moai.assistant import EncodedPicture, MoAI
from moai.processing import ALL_EXPERTS
from perception import Scene

_ENCODINGS = 32


@dataclass(frozen=True)
class Request:
    """A question about a picture. `key` names the request, `picture_key` the picture, `load` returns it; `decoding`
    has fields of `moai.assistant.Decoding`."""

    key: str
    picture_key: Hashable
    load: Callable[[], Image.Image]
    question: str
    decoding: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """A way to answer: whose words the model gets (`experts`; none empties the auxiliary text and the colour map),
    whether the mixers run at all (`moai`), and how they weigh (`routing`, as `moai.mixer.ROUTINGS`)."""

    name: str = "all experts"
    experts: tuple[str, ...] = ALL_EXPERTS
    moai: bool = True
    routing: str = "gates"


class Answerer:
    """Answers requests as one variant of an assistant, `batch_size` at a time.

    Raises ValueError for a batch size below 1.
    """

    def __init__(self, assistant: MoAI, variant: Variant | None = None, batch_size: int = 8):
        if batch_size < 1:
            raise ValueError(f"the batch size must be at least 1, got {batch_size}")
        self.assistant, self.variant, self.batch_size = assistant, variant or Variant(), batch_size
        self._encoded: OrderedDict[Hashable, EncodedPicture] = OrderedDict()

    def encode(self, request: Request) -> EncodedPicture:
        """What of the request's picture does not depend on the question; remembered for the next ones."""
        if request.picture_key not in self._encoded:
            experts = self.variant.experts if self.variant.moai else None
            encoded = self.assistant.encode(request.load(), experts=experts, moai=self.variant.moai)
            self._encoded[request.picture_key] = encoded
            while len(self._encoded) > max(_ENCODINGS, self.batch_size):
                self._encoded.popitem(last=False)
        self._encoded.move_to_end(request.picture_key)
        return self._encoded[request.picture_key]

    def batches(self, requests: Sequence[Request]) -> Iterator[list[tuple[Request, str]]]:
        """Batch by batch, requests with their answers; requests with unlike decoding never share a batch."""
        by_decoding: dict[tuple, list[Request]] = {}
        for request in requests:
            by_decoding.setdefault(tuple(sorted(request.decoding.items())), []).append(request)
        for decoding, alike in by_decoding.items():
            for start in range(0, len(alike), self.batch_size):
                batch = alike[start : start + self.batch_size]
                yield list(zip(batch, self._answer(batch, dict(decoding)), strict=True))

    def _answer(self, batch: list[Request], decoding: dict) -> list[str]:
        model = self.assistant.model
        before, model.routing = model.routing, self.variant.routing
        try:
            answers = self.assistant.ask_batch(
                [self.encode(request) for request in batch],
                [request.question for request in batch],
                moai=self.variant.moai,
                **decoding,
            )
        finally:
            model.routing = before
        return [answer.text for answer in answers]


class RememberedPerception:
    """Looks at each picture once with every expert and remembers the scene.

    Narrowing the experts of a question then narrows whose words the model reads, not who looks: the scene graph, say,
    still rests on detections when detection itself stays silent.
    """

    def __init__(self, perception):
        self._perception = perception
        self._scenes: dict[str, Scene] = {}

    @property
    def experts(self) -> tuple[str, ...]:
        """The experts that look."""
        return self._perception.experts

    def __call__(self, picture: Image.Image, experts=None) -> Scene:
        """The scene of a picture, with the words of all experts whatever `experts` are asked for."""
        key = hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()
        if key not in self._scenes:
            self._scenes[key] = self._perception(picture)
        return self._scenes[key]

    def forget(self) -> None:
        """Frees the scenes."""
        self._scenes.clear()


def fingerprint(model: torch.nn.Module) -> str:
    """A short name for a model's weights, from the beginning of every one of them."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.state_dict().items()):
        beginning = parameter.flatten()[:1024].float().cpu().numpy()
        digest.update(name.encode() + beginning.tobytes())
    return digest.hexdigest()[:16]
