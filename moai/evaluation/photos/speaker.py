"""A model that answers many prompts in batches: MoAI with its encoded pictures, or a plain language model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from moai.answers import Decoding
from moai.inference import generate
from moai.inference.likelihood import target_losses
from moai.loading import load_model
from moai.models.pretrained.language import load_language
from moai.models.processing import MoAIProcessor, pad
from moai.models.prompts import CHAT
from moai.streaming import spoken

Inputs = dict[str, Tensor]
_USUAL = 512
"""Tokens of a prompt; of longer ones fewer go into a batch."""


@dataclass
class Speaker:
    """A model on its device with the processor that writes its prompts; `batch_size` prompts at once."""

    model: Any
    processor: MoAIProcessor
    batch_size: int

    @classmethod
    def moai(cls, name: str, device: torch.device, batch_size: int) -> "Speaker":
        """The MoAI model of a folder or hub id; raises ValueError with one sentence for none."""
        model: Any
        model, processor = load_model(name, _dtype(device))
        return cls(model.to(device).eval(), processor, batch_size)

    @classmethod
    def language(cls, name: str, device: torch.device, batch_size: int) -> "Speaker":
        """A pretrained language model, as `moai.models.pretrained.load_language` takes it."""
        model: Any
        model, tokenizer = load_language(name, _dtype(device))
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        style = CHAT if tokenizer.chat_template else "plain"
        options = {"enable_thinking": False} if "enable_thinking" in str(tokenizer.chat_template) else None
        return cls(model.to(device), MoAIProcessor(tokenizer, prompt_style=style, template_options=options), batch_size)

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return next(self.model.parameters()).device

    @property
    def longest(self) -> int:
        """Tokens that the model can read."""
        config = getattr(self.model.config, "text_config", self.model.config)
        return config.max_position_embeddings

    def asked(self, question: str, told: str = "", with_image: bool = False) -> list[int]:
        """The prompt of a question, with what it is `told` before it; that is shortened where it does not fit."""
        return self._fitting(
            lambda words: self.processor.conversation_ids(
                [{"role": "user", "content": f"{words}\n{question}" if words else question}], with_image=with_image
            ),
            told,
        )

    def taught(self, question: str, told: str) -> list[int]:
        """The prompt as text rows of training have it (`moai.data.rows.TextRows`): the experts' words, where a picture
        would stand, then the question."""
        processor = self.processor
        asked = processor.question_ids(question, with_image=False)

        def prompt(words: str) -> list[int]:
            aux = self._written(f" {words}") if words else []
            return [*processor.prefix_ids(False), *aux, *asked]

        return self._fitting(prompt, told)

    @cached_property
    def _written(self) -> Callable[[str], list[int]]:
        # Many questions are asked about the same words.
        return lru_cache(maxsize=4096)(self.processor.encode_text)

    def _fitting(self, prompt: Callable[[str], list[int]], told: str) -> list[int]:
        room = self.longest - 64
        while len(ids := prompt(told)) > room and told:
            told = told[: int(len(told) * 0.9)]
        return ids

    @torch.inference_mode()
    def answers(
        self, prompts: Sequence[Sequence[int]], encoded: Sequence[Inputs | None], tokens: int
    ) -> Iterator[dict[int, str]]:
        """Batch by batch the answers of at most `tokens` tokens, by the place of their prompt; shortest prompts first.

        `encoded` are what `MoAIForConditionalGeneration.encode` gave of each prompt's picture, one row each; None for
        a prompt without a picture, and then for all.
        """
        processor, stop = self.processor, self.processor.style.stop
        arguments = Decoding(tokens).arguments() | {"pad_token_id": processor.tokenizer.pad_token_id}
        if stop:
            arguments |= {"stop_strings": stop, "tokenizer": processor.tokenizer}
        for places in self._batches(prompts):
            ids, mask = pad([prompts[place] for place in places], processor.tokenizer.pad_token_id, left=True)
            inputs = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}
            inputs |= _joined([encoded[place] for place in places])
            said = generate(self.model, **inputs, **arguments, fast=False)[:, ids.shape[1] :]
            texts = processor.tokenizer.batch_decode(said, skip_special_tokens=True)
            yield {place: spoken(text, stop) for place, text in zip(places, texts, strict=True)}

    @torch.inference_mode()
    def losses(
        self,
        prompts: Sequence[Sequence[int]],
        encoded: Sequence[Inputs | None],
        answers: Sequence[str],
    ) -> Iterator[dict[int, tuple[float, int]]]:
        """Batch by batch the negative log-likelihood (nats) of each answer behind its prompt and its length in tokens,
        by place."""
        style = self.processor.style
        targets = [self.processor.encode_text(style.answer.format(one.strip())) for one in answers]
        for places in self._batches(prompts):
            results = target_losses(
                self.model,
                [prompts[place] for place in places],
                [targets[place] for place in places],
                self.processor.tokenizer.pad_token_id,
                _joined([encoded[place] for place in places]),
            )
            yield {place: (loss, len(targets[place])) for place, (loss, _) in zip(places, results, strict=True)}

    def _batches(self, prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        batch: list[int] = []
        for place in sorted(range(len(prompts)), key=lambda place: len(prompts[place])):
            # The longest of a batch comes last.
            if len(batch) == self.batch_size or (len(batch) + 1) * len(prompts[place]) > self.batch_size * _USUAL:
                if batch:
                    yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch


def _joined(encoded: Sequence[Inputs | None]) -> Inputs:
    """One batch of the inputs of several pictures; nothing where there are none."""
    rows = [one for one in encoded if one is not None]
    return {name: torch.cat([one[name] for one in rows]) for name in rows[0]} if rows else {}


def _dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32
