"""Many questions about many pictures, in batches, each picture looked at once."""

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from transformers import PreTrainedModel

from moai.assistant import EncodedImage, MoAI
from moai.models.processing import MoAIProcessor
from perception.registry import expert_names, kind
from perception.scene import Scene

_ENCODINGS = 32


@dataclass(frozen=True)
class Request:
    """A question about a picture. `key` names the request, `image_key` the picture, `load` returns it (None: there is
    none, the question alone is asked); `decoding` has fields of `moai.assistant.Decoding`."""

    key: str
    image_key: Hashable
    load: Callable[[], Image.Image | None]
    question: str
    decoding: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """A way to answer: which experts look (`experts`; None: all that the assistant has, none of them empties the
    auxiliary text and the colour map), whether the mixers run at all (`moai`), and how they weigh (`routing`, as
    `moai.models.mixer.ROUTINGS`)."""

    name: str = "all experts"
    experts: tuple[str, ...] | None = None
    moai: bool = True
    routing: str = "gates"


def without(expert: str, experts: Sequence[str] | None = None) -> tuple[str, ...]:
    """Those of the experts (default: all kinds) that look when this one is left out: who needs it goes with it."""
    given = expert_names() if experts is None else experts
    return tuple(name for name in given if name != expert and expert not in kind(name).needs)


class Answerer:
    """Answers requests as one variant of an assistant, `batch_size` at a time.

    Raises ValueError for a batch size below 1.
    """

    def __init__(self, assistant: MoAI, variant: Variant | None = None, batch_size: int = 8):
        if batch_size < 1:
            raise ValueError(f"the batch size must be at least 1, got {batch_size}")
        self.assistant, self.variant, self.batch_size = assistant, variant or Variant(), batch_size
        self._encoded: OrderedDict[str, EncodedImage] = OrderedDict()
        self._digests: dict[Hashable, str | None] = {}

    def encode(self, request: Request) -> EncodedImage | None:
        """What of the request's picture does not depend on the question; None for a request without a picture.

        The last pictures are remembered, by name and by pixels: data sets repeat a picture for each question about it.
        """
        digest = self._digests.get(request.image_key)
        if digest is None or digest not in self._encoded:
            picture = request.load()
            if picture is None:
                return None
            digest = self._digests[request.image_key] = image_digest(picture)
            if digest not in self._encoded:
                experts = self.variant.experts if self.variant.moai else None
                encoded = self.assistant.encode(picture, experts=experts, moai=self.variant.moai)
                self._encoded[digest] = encoded
                while len(self._encoded) > max(_ENCODINGS, self.batch_size):
                    self._encoded.popitem(last=False)
        self._encoded.move_to_end(digest)
        return self._encoded[digest]

    def batches(self, requests: Sequence[Request]) -> Iterator[list[tuple[Request, str]]]:
        """Batch by batch, requests with their answers; requests with unlike decoding never share a batch.

        A question that is too long for the model is answered with the empty text, and told at once.
        """
        by_decoding: dict[tuple, list[Request]] = {}
        for request in requests:
            by_decoding.setdefault(tuple(sorted(request.decoding.items())), []).append(request)
        for decoding, alike in by_decoding.items():
            for start in range(0, len(alike), self.batch_size):
                yield self._answer(alike[start : start + self.batch_size], dict(decoding))

    def _answer(self, batch: list[Request], decoding: dict) -> list[tuple[Request, str]]:
        answers = dict.fromkeys((request.key for request in batch), "")
        seen, unseen = [], []
        for request in batch:
            if self._too_long(request.question):
                print(f"{request.key} is too long for the model and counts as unanswered", file=sys.stderr)
            elif (encoded := self.encode(request)) is None:
                unseen.append(request)
            else:
                seen.append((request, encoded))
        model = self.assistant.model
        before, model.routing = model.routing, self.variant.routing
        try:
            if seen:
                pictures, questions = [encoded for _, encoded in seen], [request.question for request, _ in seen]
                texts = self.assistant.ask_batch(pictures, questions, moai=self.variant.moai, **decoding)
                answers |= {request.key: one.text for (request, _), one in zip(seen, texts, strict=True)}
            for request in unseen:
                messages = [{"role": "user", "content": request.question}]
                answers[request.key] = self.assistant.chat(None, messages, **decoding).text
        finally:
            model.routing = before
        return [(request, answers[request.key]) for request in batch]

    def _too_long(self, question: str) -> bool:
        messages = [{"role": "user", "content": question}]
        length = len(self.assistant.processor.conversation_ids(messages, with_image=True))
        return length >= self.assistant.model.config.text_config.max_position_embeddings


@torch.inference_mode()
def greedy_answers(
    model: PreTrainedModel,
    processor: MoAIProcessor,
    conversations: Sequence[Sequence[dict]],
    pictures: Sequence,
    scenes: Sequence[Scene],
    experts: Sequence[str] | None,
    batch_size: int = 100,
    max_new_tokens: int = 80,
    say: Callable[..., torch.Tensor] | None = None,
) -> list[str]:
    """The model's greedy answers to conversations that end with a question, each about its picture and scene.

    `experts` are those whose words it gets; () empties the auxiliary text and the colour map; None leaves the mixers
    out altogether. `say` is what generates, by default the model's own `generate`.
    """
    device, say = next(model.parameters()).device, say or model.generate
    answers = []
    # Each decoding step has a new shape; a model compiled for training would be compiled anew for each.
    with torch.compiler.set_stance("force_eager"):
        for start in range(0, len(conversations), batch_size):
            batch = slice(start, start + batch_size)
            inputs = processor(
                conversations[batch],
                scenes=None if experts is None else scenes[batch],
                pictures=pictures[batch],
                experts=experts or (),
            )
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            generated = say(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
            fresh = generated[:, inputs["input_ids"].shape[1] :]
            answers += [text.strip() for text in processor.tokenizer.batch_decode(fresh, skip_special_tokens=True)]
    return answers


def image_digest(picture: Image.Image) -> str:
    """A short name for the pixels of a picture."""
    pixels = picture.convert("RGB")
    return hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).hexdigest()


def fingerprint(model: torch.nn.Module) -> str:
    """A short name for a model's weights, from the beginning of every one of them."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.state_dict().items()):
        beginning = parameter.flatten()[:1024].float().cpu().numpy()
        digest.update(name.encode() + beginning.tobytes())
    return digest.hexdigest()[:16]
