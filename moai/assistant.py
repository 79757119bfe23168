"""The Python inference API: `MoAI.from_pretrained().ask(picture, question)` -> `Answer` with its evidence."""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import StoppingCriteriaList

from moai.answers import Answer, Decoding, EncodedImage, Usage, timed
from moai.batches import given_as, listed
from moai.deliberation import Deliberator, answered
from moai.evidence import ExpertLoads, GateShares, Taking
from moai.inference import encode, generate
from moai.inference.choosing import seeded
from moai.loading import chosen_places, in_memory, load_model, placed, preset_of
from moai.models.modeling import MoAIForConditionalGeneration
from moai.models.pretrained import build
from moai.models.processing import MoAIProcessor, pad
from moai.settling import Held, settled
from moai.streaming import AnswerStream, PieceStreamer, StopWhenAsked
from moai.untaught import speaker
from moai.wording import answer_of, ends_of, stops_of
from perception import Perception, Scene
from perception.forks import ProcessBound
from perception.guard.watch import TIME_LIMIT
from perception.images import Pixels, pixels_of
from perception.perception import MAX_AT_ONCE
from perception.registry import expert_names
from weights import DEFAULT_MODEL

__all__ = ["Answer", "Decoding", "EncodedImage", "ExpertLoads", "GateShares", "MoAI", "Usage"]

NO_PICTURE = EncodedImage(Scene(0, 0), (), {}, {})
"""Stands for the picture of a conversation that has none."""


class MoAI(ProcessBound):
    """Answers questions about pictures with the evidence for each answer. Safe to call from several threads.

    Pickles and copies hold model, processor and experts; forked children answer on the CPU alone.
    """

    def __init__(self, model: MoAIForConditionalGeneration, processor: MoAIProcessor, perception: Perception):
        self.model = model.eval()
        self.processor = processor
        self.perception = perception
        super().__init__()

    _lock: threading.Lock

    def _fresh(self) -> dict[str, Any]:
        # Passes take turns, so that memory need hold one at a time.
        return {"_lock": threading.Lock()}

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        experts: Sequence[str] | str | None = None,
        device: str | None = None,
        perception: Perception | None = None,
        quantize: str | None = None,
        experts_from: str | Path | Mapping | None = None,
        time_limit: float | None = TIME_LIMIT,
        trust_pickles: bool = False,
        memory: str | None = None,
        **given: Any,
    ) -> "MoAI":
        """The embedded model, or the one of a name (`weights.embedded_models`), in a folder or behind a hub id.

        `experts` that will run: names of `perception.registry` such as segmentation or seg, as a list or separated by
        commas; None means all. `experts_from` names the preset of experts (or a YAML file, or a mapping) that takes the
        place of the one which the model names; `given` replaces single experts of it, as `perception.Perception` takes
        them (`detection="hf_detection:PekingU/rtdetr_v2_r18vd"`), like `time_limit` and `trust_pickles`; `perception`
        replaces them altogether. `device`, of model and experts, defaults to CUDA when there is one. `quantize`, one of
        `moai.inference.quantization.TIERS`, makes the language model smaller; None is bf16 on CUDA and fp32 elsewhere.
        `memory`, as "8GB", is the model's share of a CUDA device: other layers come as they are wanted, no experts do.
        Raises ValueError with one sentence for a model, expert, preset, device, quantisation or memory that cannot be.
        """
        for names in (experts, list(given)):  # a typo is told before anything loads
            expert_names(names)
        if perception is not None and (experts_from is not None or given):
            raise ValueError("give experts_from or perception, not both: each says which experts there are")
        place, budget, beside = chosen_places(device, quantize, memory)
        looking = {"device": beside, "time_limit": time_limit, "trust_pickles": trust_pickles, **given}
        if experts_from is not None:
            perception = Perception(experts, experts_from=experts_from, **looking)
        elif perception is not None and experts is not None:
            perception = perception.narrowed(experts)
        dtype = torch.bfloat16 if place.type == "cuda" or quantize == "bf16" else torch.float32
        model, processor = load_model(str(DEFAULT_MODEL if name is None else name), dtype)
        if perception is None:
            perception = Perception(experts, experts_from=preset_of(model.config), **looking)
        return cls(placed(model, place, quantize, budget), processor, perception)

    @classmethod
    def build(
        cls,
        language_model: str | Path,
        vision: str | Path,
        experts_from: str = "drawn",
        mixers: str | Sequence[int] = "every=4",
        *,
        experts: Sequence[str] | str | None = None,
        device: str | None = None,
        perception: Perception | None = None,
        quantize: str | None = None,
        memory: str | None = None,
        **settings,
    ) -> "MoAI":
        """An assistant of a pretrained language model and vision encoder, not yet trained: its branches start closed.

        language_model, vision, mixers and `settings` as `moai.models.pretrained.build` takes them; the rest as for
        `from_pretrained`. `assistant.save_pretrained(folder)` keeps it. Raises ValueError with one sentence.
        """
        place, budget, beside = chosen_places(device, quantize, memory)
        if perception is None:
            perception = Perception(experts, experts_from=experts_from, device=beside)
        if place.type == "cuda":
            settings = {"dtype": torch.bfloat16} | settings
        model, processor = build(language_model, vision, experts_from, mixers, **settings)
        return cls(placed(model, place, quantize, budget), processor, perception)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes model and processor, for `from_pretrained` to read."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    @property
    def device(self) -> torch.device:
        """Where the language model lives."""
        return self.model.device

    def perceive(self, picture, experts: Sequence[str] | str | None = None) -> Scene:
        """What the experts see in a picture (path, bytes, PIL image or array); raises ImageError for a bad one."""
        return self.perception(picture, experts=self._experts(experts))

    def encode(self, picture, experts: Sequence[str] | str | None = None, moai: bool = True) -> EncodedImage:
        """Look at a picture once, to ask it several questions: `ask(encoded, question)`.

        With `moai` False the experts do not run and the plain backbone will answer.
        """
        timings: dict[str, float] = {}
        with timed(timings, "load"):
            pixels = pixels_of(picture)
        return self._encode([pixels], timings, experts, moai)[0]

    @torch.inference_mode()
    def _encode(
        self, pictures: Sequence[Pixels], timings: dict[str, float], experts: Sequence[str] | str | None, moai: bool
    ) -> list[EncodedImage]:
        """All pictures in one batch of the networks; each gets the seconds of the whole, added to `timings`."""
        kept = self._experts(experts) if moai else ()
        with timed(timings, "perception"):
            if moai:
                scenes = self.perception.batch(pictures, experts=kept)
            else:
                scenes = [Scene(width, height) for height, width, _ in (pixels.shape for pixels in pictures)]
        with timed(timings, "encode"):
            inputs = self.processor.image_inputs(pictures, scenes if moai else None, kept)
            with self.passing(len(pictures), "picture"):
                encoded = encode(self.model, {key: value.to(self.device) for key, value in inputs.items()})
        return [
            EncodedImage(scene, kept, {key: value[row : row + 1] for key, value in encoded.items()}, dict(timings))
            for row, scene in enumerate(scenes)
        ]

    def _encode_distinct(
        self, pictures: Sequence, experts: Sequence[str] | str | None, moai: bool
    ) -> list[EncodedImage]:
        """Each picture encoded, those of equal pixels once; networks look at up to MAX_AT_ONCE in one pass."""
        digests: dict[Hashable, str] = {}  # of pictures by what they were given as, so that equal paths are read once
        seen: dict[str, EncodedImage] = {}
        waiting: dict[str, Pixels] = {}
        timings: dict[str, float] = {}

        def look() -> None:
            seen.update(zip(waiting, self._encode(list(waiting.values()), dict(timings), experts, moai), strict=True))
            waiting.clear()
            timings.clear()

        for picture in pictures:
            if isinstance(picture, EncodedImage) or given_as(picture) in digests:
                continue
            with timed(timings, "load"):
                pixels = pixels_of(picture)
                digests[given_as(picture)] = pixels.digest
            if pixels.digest not in seen:
                waiting[pixels.digest] = pixels
            if len(waiting) == MAX_AT_ONCE:
                look()
        if waiting:
            look()
        return [
            self._encoded(picture, experts, moai)
            if isinstance(picture, EncodedImage)
            else seen[digests[given_as(picture)]]
            for picture in pictures
        ]

    def ask(
        self,
        picture,
        question: str,
        *,
        experts: Sequence[str] | str | None = None,
        moai: bool = True,
        **decoding,
    ) -> Answer:
        """Answer one question about a picture (path, bytes, PIL image, array, or the result of `encode`).

        `experts` narrows the experts for this question; `moai` False asks the plain backbone; `decoding` takes the
        fields of `Decoding`. Raises ValueError (ImageError for pictures) with one sentence for bad input.
        """
        return self.chat(picture, [{"role": "user", "content": question}], experts=experts, moai=moai, **decoding)

    def chat(
        self,
        picture,
        messages: Sequence[dict],
        *,
        experts: Sequence[str] | str | None = None,
        moai: bool = True,
        **decoding,
    ) -> Answer:
        """Answer the last of several messages about a picture.

        messages: dicts with `role` ("user" or "assistant"; the first may be "system") and `content`, the user's last.
        Without a picture (None) the plain language model answers. Otherwise as `ask`.
        """
        settings = Decoding.of(decoding)
        prompt = self.prompt_ids(messages, picture is not None)
        encoded = self._encoded(picture, experts, moai)
        return answered(self, encoded, messages, prompt, settings)

    def ask_batch(
        self,
        pictures: Sequence,
        questions: Sequence[str],
        *,
        experts: Sequence[str] | str | None = None,
        moai: bool = True,
        **decoding,
    ) -> list[Answer]:
        """Answer questions[i] about pictures[i] in one batch; pictures of equal pixels are one, which is seen once.

        pictures: a sequence, or an array (B, H, W, 3) of B pictures. Raises ValueError when the numbers differ.
        Otherwise as `ask`.
        """
        pictures, questions = listed(pictures, "pictures"), listed(questions, "questions")
        if len(pictures) != len(questions):
            raise ValueError(f"got {len(pictures)} pictures but {len(questions)} questions; give one for each")
        settings = Decoding.of(decoding)
        conversations = [[{"role": "user", "content": question}] for question in questions]
        prompts = [self.prompt_ids(messages) for messages in conversations]
        if not prompts:
            return []
        encoded = self._encode_distinct(pictures, experts, moai)
        if settings.strategy is not None:
            # One by one: the drafts of one are a batch already.
            asked = zip(encoded, conversations, prompts, strict=True)
            return [answered(self, *one, settings) for one in asked]
        answers = self._answer(encoded, prompts, settings)
        return [settled(self, *one) for one in zip(encoded, questions, prompts, answers, strict=True)]

    def stream(
        self,
        picture,
        question: str | Sequence[dict],
        *,
        experts: Sequence[str] | str | None = None,
        moai: bool = True,
        **decoding,
    ) -> AnswerStream:
        """Like `ask` (or `chat`, given messages), but iterates over the answer's pieces as they are generated.

        Of several drafts the stream's `drafts` are there before the first piece of what is made out of them.
        """
        settings = Decoding.of(decoding)
        messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
        prompt = self.prompt_ids(messages, picture is not None)
        encoded = self._encoded(picture, experts, moai)
        if settings.strategy is not None:
            Deliberator(self, encoded, messages, prompt, settings)  # refuses what cannot be done, now

        def work(emit: Callable, stop: threading.Event) -> Answer:
            held = Held(emit, messages[-1]["content"], encoded.scene)
            streamer = PieceStreamer(self.processor.tokenizer, held, stops_of(self.processor, settings))
            answer = answered(self, encoded, messages, prompt, settings, streamer, stop, emit)
            held.end(answer.text)
            return answer

        return AnswerStream(work)

    def _experts(self, experts: Sequence[str] | str | None) -> tuple[str, ...]:
        if experts is None:
            return self.perception.experts
        kept = expert_names(experts)
        absent = [name for name in kept if name not in self.perception.experts]
        if absent:
            raise ValueError(f"{absent[0]} was not loaded; loaded experts are {', '.join(self.perception.experts)}")
        return kept

    def _encoded(self, picture, experts: Sequence[str] | str | None, moai: bool) -> EncodedImage:
        if picture is None:
            return NO_PICTURE
        if not isinstance(picture, EncodedImage):
            return self.encode(picture, experts, moai)
        if not moai:
            embeds = {"image_embeds": picture.inputs["image_embeds"]}
            return replace(picture, scene=Scene(picture.scene.width, picture.scene.height), experts=(), inputs=embeds)
        if experts is not None and self._experts(experts) != picture.experts:
            seen_by = ", ".join(picture.experts) or "no expert"
            raise ValueError(f"the picture was encoded with {seen_by}; encode it again for other experts")
        return picture

    def prompt_ids(self, messages: Sequence[dict], with_image: bool = True) -> list[int]:
        """Token ids of a conversation, checked as `chat` does; raises ValueError with one sentence."""
        ids = self.processor.conversation_ids(messages, with_image)
        if not messages[-1]["content"].strip():
            raise ValueError("the question is empty; ask something about the picture")
        if self.room(ids) <= 0:
            told = f"the conversation is {len(ids)} tokens long with its picture"
            raise ValueError(f"{told}; this model takes {self.model.config.text_config.max_position_embeddings}")
        return ids

    def room(self, prompt: Sequence[int]) -> int:
        """Positions of the model that are left behind a prompt, for its answer."""
        return self.model.config.text_config.max_position_embeddings - len(prompt)

    def prompt_inputs(self, encoded: Sequence[EncodedImage], prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Inputs of the model's pass over prompts about encoded pictures, padded on the left."""
        if len({tuple(one.inputs) for one in encoded}) > 1:
            raise ValueError("some pictures were encoded with experts and some without; ask about them separately")
        input_ids, attention_mask = pad(prompts, self.processor.tokenizer.pad_token_id, left=True)
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        inputs |= {key: torch.cat([one.inputs[key] for one in encoded]) for key in encoded[0].inputs}
        return {name: tensor.to(self.device) for name, tensor in inputs.items()}

    @torch.inference_mode()
    def _answer(
        self,
        encoded: Sequence[EncodedImage],
        prompts: Sequence[Sequence[int]],
        settings: Decoding,
        streamer: PieceStreamer | None = None,
        stop: threading.Event | None = None,
    ) -> list[Answer]:
        """One answer to each of the prompts (`prompt_ids`), in one batch, greedily or by a draw."""
        timings: dict[str, float] = {}
        stops, pad_id = stops_of(self.processor, settings), self.processor.tokenizer.pad_token_id
        inputs = self.prompt_inputs(encoded, prompts)
        # An answer ends where the model's positions do, whatever its neighbours have left.
        rooms = [min(settings.max_new_tokens, self.room(prompt)) for prompt in prompts]
        arguments = settings.arguments() | {"max_new_tokens": max(rooms), "pad_token_id": pad_id}
        if stops:
            arguments |= {"stop_strings": list(stops), "tokenizer": self.processor.tokenizer}
        if stop is not None:
            arguments["stopping_criteria"] = StoppingCriteriaList([StopWhenAsked(stop)])
        taking = Taking(self.model)
        with timed(timings, "generate"), self.passing(len(prompts), "question", stop) as going:
            generated = inputs["input_ids"]
            if going:
                who, inputs = speaker(self.model, inputs, taking)
                with seeded(settings.seed, self.device):
                    generated = generate(who, **inputs, **arguments, streamer=streamer)
        fresh = generated[:, inputs["input_ids"].shape[1] :].tolist()
        answers = [
            answer_of(self.processor, ends_of(self.model), ids[:room], prompt, picture, settings, timings, room)
            for ids, room, prompt, picture in zip(fresh, rooms, prompts, encoded, strict=True)
        ]
        evidence = taking.told([0 if one.usage is None else one.usage.new_tokens for one in answers])
        return [replace(answer, **vars(one)) for answer, one in zip(answers, evidence, strict=True)]

    @contextmanager
    def passing(self, count: int, what: str, stop: threading.Event | None = None):
        """A turn of the model, or False once `stop` is set; when memory runs out, what can be given back is, and one
        sentence says so."""
        what = f"{count} {what}{'s' * (count != 1)}"
        while not self._lock.acquire(timeout=-1 if stop is None else 0.02):
            if stop is not None and stop.is_set():
                yield False
                return
        try:
            with in_memory(self.device, what, "ask for less at a time, or load the model quantised"):
                yield stop is None or not stop.is_set()
        finally:
            self._lock.release()
