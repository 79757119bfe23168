"""Fast generation: what transformers' `generate` does, on the static cache of `moai.inference.decoding`."""

import copy
import gc
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import GenerationConfig, StoppingCriteriaList, StopStringCriteria
from transformers.generation.streamers import BaseStreamer

from moai.inference.captured import COARSE_STEP, WIDTH_STEP, CapturedPrefill
from moai.inference.comparing import CapturedComparing, Row, compare_as_written
from moai.inference.decoding import PLAIN, Bucket, Decoder, Way
from moai.inference.encoding import INPUTS, CapturedEncoding
from moai.inference.fused import can_be_fused, places
from moai.inference.graphs import Graphs
from moai.inference.prefill import Prefill
from moai.inference.ring.layers import Ring
from moai.inference.ring.needs import looking_needs
from moai.inference.ring.streaming import forget_rings, ring_of
from moai.inference.untouched import is_untouched
from moai.models.fusion import Fusion
from moai.models.generation import IMAGE_INPUTS
from moai.models.modeling import MoAIForConditionalGeneration
from perception.networks.one_thread import OneThread

_MODEL_INPUTS = ("input_ids", "attention_mask", *IMAGE_INPUTS)
_SETTINGS = {
    "max_new_tokens", "do_sample", "temperature", "top_p", "top_k", "stop_strings", "use_cache",
    "pad_token_id", "bos_token_id", "eos_token_id", "transformers_version", "_from_model_config",
}  # fmt: skip
"""Settings of a GenerationConfig that the fast path follows; with any other, the plain path generates."""
COMPILED_FROM = 10**9
"""Parameters of a decoder that is worth compiling."""


@dataclass
class Request:
    """What one call of `generate` asks for. `inputs` are the model's; a `temperature` of None is greedy."""

    inputs: dict[str, Tensor]
    max_new_tokens: int
    pad: int
    ends: list[int]
    temperature: float | None = None
    top_p: float = 1.0
    criteria: StoppingCriteriaList = field(default_factory=StoppingCriteriaList)
    streamer: BaseStreamer | None = None

    @classmethod
    def of(cls, model: MoAIForConditionalGeneration, arguments: dict) -> "Request | None":
        """The request behind the arguments of `generate`, or None when it asks for more than the fast path does."""
        arguments = dict(arguments)
        inputs = {name: arguments.pop(name) for name in _MODEL_INPUTS if arguments.get(name) is not None}
        criteria = StoppingCriteriaList(arguments.pop("stopping_criteria", None) or ())
        streamer, tokenizer = arguments.pop("streamer", None), arguments.pop("tokenizer", None)
        settings = copy.deepcopy(arguments.pop("generation_config", None) or model.generation_config)
        unknown = [name for name, value in settings.update(**arguments).items() if value is not None]
        asked = {name for name, value in settings.to_dict().items() if value not in (None, False)}
        if unknown or asked - _SETTINGS or settings.max_new_tokens is None or "input_ids" not in inputs:
            return None
        mask = inputs.get("attention_mask")
        if not is_untouched(model) or not can_be_fused(model.config.text_config):
            return None
        if mask is not None and mask.ndim != 2:
            return None
        if len(set((getattr(model, "hf_device_map", None) or {}).values())) > 1:
            return None
        if settings.do_sample and settings.top_k != 0:
            return None
        if "experts" in inputs and inputs["experts"].token_mask is not None:
            return None
        if settings.stop_strings:
            criteria.append(StopStringCriteria(tokenizer=tokenizer, stop_strings=settings.stop_strings))
        return cls(inputs, criteria=criteria, streamer=streamer, **_choices(settings))


def _choices(settings: GenerationConfig) -> dict:
    ends = settings.eos_token_id
    ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
    pad = settings.pad_token_id if settings.pad_token_id is not None else ends[0] if ends else 0
    choices = {"max_new_tokens": settings.max_new_tokens, "pad": pad, "ends": ends}
    if settings.do_sample:
        choices["temperature"] = 1.0 if settings.temperature is None else settings.temperature
        choices["top_p"] = 1.0 if settings.top_p is None else settings.top_p
    return choices


def worth_compiling(model: MoAIForConditionalGeneration) -> bool:
    """Whether a step takes its time for reading the decoder's weights, for which tuned kernels are worth a minute of
    tuning; in small ones it is their launches, which a graph of plain kernels spares as well."""
    decoder = model.language_model
    return ring_of(decoder) is not None or sum(one.numel() for one in decoder.parameters()) >= COMPILED_FROM


class FastGeneration:
    """Prompt and answers of one model, on the device of its weights; requests of several threads take turns.

    `compiled` and `options` as `moai.inference.decoding.Decoder` takes them; what is compiled is captured on CUDA. By
    default all is captured on CUDA, and what is `worth_compiling` compiled before. `ahead` steps run on the device
    while the host looks at what came out.
    """

    def __init__(self, model: MoAIForConditionalGeneration, compiled: bool | None = None, options: dict | None = None):
        on_cuda = model.device.type == "cuda"
        captured = on_cuda if compiled is None else compiled
        if compiled is None:
            compiled = on_cuda and worth_compiling(model)
        self.decoder = Decoder(model.language_model, model.lm_head, compiled, options, captured)
        self.prefill: Prefill | CapturedPrefill = Prefill(self.decoder)
        self.encoding: CapturedEncoding | None = None
        self.comparing: CapturedComparing | None = None
        if self.decoder.captured and self.decoder.ring is None:
            self.capture(Graphs())
        self.ahead = 1 if on_cuda else 0
        self.turn = threading.Lock()
        self.seeing = OneThread("encoding")

    def capture(self, graphs: Graphs | None) -> None:
        """Reads pictures, short prompts and texts behind them as graphs; None as those would be read, without them."""
        assert isinstance(self.prefill, Prefill)
        step = WIDTH_STEP if self.decoder.compiled else COARSE_STEP
        self.prefill = CapturedPrefill(self.prefill, graphs, step)
        self.encoding = CapturedEncoding(graphs, self.decoder.compiled)
        self.comparing = CapturedComparing(graphs, step)

    def serves(self, model: MoAIForConditionalGeneration) -> bool:
        """Whether the model's decoder still has the weights that this was made from."""
        return self.decoder.places == places(model.language_model)

    def __call__(self, model: MoAIForConditionalGeneration, request: Request) -> Tensor:
        """Ids (B, S + N) of prompts and answers, as `generate` returns them."""
        # Compiled code tells inference tensors from others, and would compile twice.
        prompt = request.inputs["input_ids"]
        with self.turn, torch.inference_mode(False), torch.no_grad(), torch.cuda.device_of(prompt):
            rows, width = prompt.shape
            way = Way(sampled=request.temperature is not None)
            bucket = self.decoder.bucket(rows, width + request.max_new_tokens, way)
            self.begin(model, request, bucket)
            lengths = bucket.position[:rows].clone()
            said = self._listen(request, self.tokens(bucket, rows, request.max_new_tokens, way))
            if "experts" in request.inputs:
                request.inputs["experts"].said = bucket.routes_of(lengths, said.shape[1] - 1)
            return torch.cat((prompt, said.to(prompt.device)), dim=1)

    def begin(self, model: MoAIForConditionalGeneration, request: Request, bucket: Bucket) -> Tensor:
        """Reads the prompts into the bucket, first tokens chosen; logits (B, V) of the prompts' last tokens."""
        inputs = aligned(request.inputs)
        lengths = inputs.pop("lengths")
        embeds, fusion = self.fused(model, inputs)
        if fusion is not None and fusion.experts is not None:
            fusion.token_mask = torch.arange(embeds.shape[1], device=embeds.device) < lengths[:, None]
        logits = self.prefill(embeds, lengths, bucket, fusion)
        if request.temperature is not None:
            bucket.temperature.fill_(request.temperature)
            bucket.top_p.fill_(request.top_p)
        self.decoder.choose(logits, bucket, Way(sampled=request.temperature is not None))
        bucket.position.zero_()
        bucket.position[: len(logits)].copy_(lengths)
        return logits

    def fused(self, model: MoAIForConditionalGeneration, inputs: dict[str, Any]) -> tuple[Tensor, Fusion | None]:
        """`model.fuse(**inputs)`; from the check of the inputs on, nothing waits for the device."""
        seen = {name: inputs.get(name) for name in ("input_ids", "pixel_values", "image_embeds")}
        model.check_pictures(**seen)
        return model.fuse(**self.encoded(model, inputs), check=False)

    def encoded(self, model: MoAIForConditionalGeneration, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs of a pass with pictures and experts' words as what the model makes of them."""
        given = {name: inputs[name] for name in INPUTS if inputs.get(name) is not None}
        if not given:
            return inputs
        rest = {name: value for name, value in inputs.items() if name not in INPUTS}
        if self.decoder.ring is not None:
            with self.decoder.turn:
                return rest | _seen_within(self.decoder.ring, model, given)
        return rest | (model.encode(**given) if self.encoding is None else self.encoding(model, given))

    def tokens(self, bucket: Bucket, rows: int, count: int, way: Way = PLAIN) -> Iterator[Tensor]:
        """The next `count` tokens (B,) of each row, on the host, the first being those that `bucket` holds."""
        return (tokens for (tokens,) in self.steps(bucket, count, way, lambda: (bucket.tokens[:rows],)))

    def steps(
        self, bucket: Bucket, count: int, way: Way, look: Callable[[], tuple[Tensor, ...]]
    ) -> Iterator[tuple[Tensor, ...]]:
        """What `look` finds on the device before each of `count` steps, on the host, the first in the bucket as is."""
        waiting = deque([_Arriving(look())])
        for _ in range(count - 1):
            if len(waiting) > self.ahead:
                yield waiting.popleft().read()
            self.decoder.step(bucket, way)
            waiting.append(_Arriving(look()))
        while waiting:
            yield waiting.popleft().read()

    @staticmethod
    def _listen(request: Request, tokens: Iterator[Tensor]) -> Tensor:
        """New tokens (B, N) up to the end of the longest answer, padded after each row's end."""
        prompt = request.inputs["input_ids"]
        watched = bool(request.criteria) or request.streamer is not None
        rows, width = prompt.shape
        ids = torch.full((rows, width + request.max_new_tokens), request.pad)
        if watched:
            ids[:, :width] = prompt.cpu()
        if request.streamer is not None:
            request.streamer.put(ids[:, :width])
        ends, ended, end = torch.tensor(request.ends), torch.zeros(rows, dtype=torch.bool), width
        for new in tokens:
            ids[:, end] = new.masked_fill(ended, request.pad)
            end += 1
            if request.streamer is not None:
                request.streamer.put(ids[:, end - 1])
            ended |= torch.isin(new, ends)
            if request.criteria:
                ended |= request.criteria(ids[:, :end], None)
            if ended.all():
                break
        if request.streamer is not None:
            request.streamer.end()
        return ids[:, width:end]


def _seen_within(ring: Ring, model: MoAIForConditionalGeneration, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """`model.encode(**given)`, in halves where memory needs them."""
    pictures = sum(len(value) for name, value in given.items() if name.endswith("pixel_values"))
    rows = len(next(iter(given.values())))
    try:
        ring.reserve(model.vision, looking_needs(model.config, model.dtype.itemsize, pictures))
    except torch.OutOfMemoryError:
        if rows == 1:
            raise
        some = (slice(rows // 2), slice(rows // 2, rows))
        halves = [_seen_within(ring, model, {name: value[part] for name, value in given.items()}) for part in some]
        return {name: torch.cat([half[name] for half in halves]) for name in halves[0]}
    ring.make_way()
    return model.encode(**given)


class _Arriving:
    """Tensors on their way from the device, which goes on working."""

    def __init__(self, tensors: tuple[Tensor, ...]):
        self.event = None
        if tensors[0].is_cuda:
            self.tensors = tuple(torch.empty(one.shape, dtype=one.dtype, pin_memory=True) for one in tensors)
            for mine, one in zip(self.tensors, tensors, strict=True):
                mine.copy_(one, non_blocking=True)
            self.event = torch.cuda.Event()
            self.event.record()
        else:
            self.tensors = tuple(one.clone() for one in tensors)

    def read(self) -> tuple[Tensor, ...]:
        """The tensors, once they are here."""
        if self.event is not None:
            self.event.synchronize()
        return self.tensors


def aligned(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs of a forward pass with each row's padding moved to its right end; `lengths` (B,) come in.

    The attention mask becomes a part of `prompt_mask`, 1 = token that the mixers see: with causal attention nothing
    else needs it.
    """
    inputs = dict(inputs)
    ids, mask = inputs["input_ids"], inputs.pop("attention_mask", None)
    if mask is None:
        inputs["lengths"] = torch.full((len(ids),), ids.shape[1], device=ids.device)
        return inputs
    mask = mask.long()
    order = torch.argsort(mask, dim=1, descending=True, stable=True)
    inputs["input_ids"] = ids.gather(1, order)
    inputs["lengths"] = mask.sum(dim=1)
    seen = mask if inputs.get("prompt_mask") is None else mask * inputs["prompt_mask"]
    inputs["prompt_mask"] = seen.gather(1, order)
    return inputs


_ENGINES: WeakKeyDictionary[MoAIForConditionalGeneration, FastGeneration] = WeakKeyDictionary()
_ENGINES_LOCK = threading.RLock()


def _after_fork() -> None:
    global _ENGINES_LOCK
    # A forked child has none of the threads that may have been in the middle of a request.
    _ENGINES_LOCK = threading.RLock()
    _ENGINES.clear()


os.register_at_fork(after_in_child=_after_fork)


def generate(model: MoAIForConditionalGeneration, *, fast: bool | None = None, **arguments) -> Tensor:
    """What `model.generate(**arguments)` says: ids (B, S + N), on CUDA by the fast path for all that it can do.

    The fast path answers greedily or samples by temperature and top_p (with `top_k=0`), with stop strings, stopping
    criteria and a streamer, and needs `max_new_tokens`; anything else goes transformers' way, and so does a model with
    adapters or hooks on its decoder. `fast` True asks for the fast path, also on the CPU, and raises ValueError for
    what it cannot do; False keeps to transformers' way. The fast path keeps caches and captured steps with the model
    until `forget`, and is fastest after `fuse_weights`.
    """
    wanted = model.device.type == "cuda" if fast is None else fast
    request = Request.of(model, arguments) if wanted else None
    if request is not None:
        return fast_generation(model)(model, request)
    if fast:
        raise ValueError(
            "the fast path cannot do all that was asked of generate, or does not know this model; leave out fast=True"
        )
    return model.generate(**arguments)


def encode(model: MoAIForConditionalGeneration, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """`model.encode(**inputs)`, on CUDA as one graph for few pictures."""
    engine = _fast_on_cuda(model)
    if engine is None:
        return model.encode(**inputs)

    def seen() -> dict[str, Tensor]:
        with engine.turn, torch.inference_mode(False), torch.no_grad(), torch.cuda.device(model.device):
            # Tensors of inference mode could not be written to outside it.
            return engine.encoded(model, {name: one.clone() for name, one in inputs.items()})

    return engine.seeing(seen)


def compare(model: MoAIForConditionalGeneration, row: Row, encoded: Mapping[str, Tensor]) -> Tensor:
    """`compare_as_written`, on CUDA as one graph for short rows."""
    engine = _fast_on_cuda(model)
    if engine is None or engine.comparing is None:
        return compare_as_written(model, row, encoded)
    # Tensors of inference mode could not be written to outside it, and what graphs read is kept.
    with engine.turn, torch.inference_mode(False), torch.no_grad(), torch.cuda.device(model.device):
        return engine.comparing(model, row, encoded)


def _fast_on_cuda(model: MoAIForConditionalGeneration) -> FastGeneration | None:
    """The model's fast generation if it is on CUDA and made as that expects."""
    if model.device.type != "cuda" or not is_untouched(model) or not can_be_fused(model.config.text_config):
        return None
    return fast_generation(model)


def fast_generation(model: MoAIForConditionalGeneration) -> FastGeneration:
    """The model's fast generation, made at its first use and anew when its weights were moved or replaced."""
    with _ENGINES_LOCK:
        engine = _ENGINES.get(model)
        if engine is None or not engine.serves(model):
            _ENGINES[model] = engine = FastGeneration(model)
        return engine


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch says so, which on the CPU has no type of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def forget() -> None:
    """Gives back the caches and captured steps of all models; the next request makes them anew."""
    with _ENGINES_LOCK:
        _ENGINES.clear()
    forget_rings()
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
