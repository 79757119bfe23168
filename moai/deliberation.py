"""Answers that take more than one pass: several drafts, or the contrast with a weak side."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import StopStringCriteria

from moai.answers import Answer, Decoding, EncodedImage, timed
from moai.evidence import Taking
from moai.inference.strategies import Wording, draft
from moai.inference.strategies.contrast import Contrast
from moai.inference.strategies.deliberation import Draft
from moai.inference.strategies.registry import STRATEGIES, Outcome
from moai.inference.strategies.weak import OF_MIXERS, check_possible
from moai.models.prompts import aggregate_question
from moai.settling import settled
from moai.streaming import PieceStreamer
from moai.untaught import speaker
from moai.wording import answer_of, ends_of, stops_of

if TYPE_CHECKING:
    from moai.assistant import MoAI

ROOM_FOR_NUMBERS = 6
"""Tokens that a draft may take beyond its own, for its number and what stands between it and the next."""


class Deliberator:
    """Asks an assistant one question in whatever way its `settings` choose (`moai.inference.strategies.registry`).

    messages: the conversation, of which `prompt` has the token ids. `streamer` gets the answer as it comes, where it
    comes token by token; `announce` gets the drafts as soon as there are all of them. Raises ValueError with one
    sentence for what cannot be done, before anything is.
    """

    def __init__(
        self,
        assistant: "MoAI",
        encoded: EncodedImage,
        messages: Sequence[dict],
        prompt: Sequence[int],
        settings: Decoding,
        streamer: PieceStreamer | None = None,
        stop: threading.Event | None = None,
        announce: Callable[[list[Draft]], None] | None = None,
    ):
        self.assistant, self.encoded, self.messages, self.prompt = assistant, encoded, messages, prompt
        self.settings, self.streamer, self.stop, self.announce = settings, streamer, stop, announce
        self.timings: dict[str, float] = {}
        self._check()

    def _check(self) -> None:
        settings, weak = self.settings, self.settings.against and self.settings.weak
        if weak:
            check_possible(weak, self.assistant.model)
            if weak in OF_MIXERS and "aux_tokens" not in self.encoded.inputs:
                raise ValueError(f"the weak side {weak} weakens what experts say; ask with a picture and its experts")
        if settings.combine == "aggregate" and settings.samples > 1:
            tokens = settings.max_new_tokens
            drafts = min(settings.window, settings.samples)
            empty = self.assistant.prompt_ids(self._turned(aggregate_question(self._question, [])), self._pictured)
            if self.assistant.room(empty) < drafts * (tokens + ROOM_FOR_NUMBERS) + tokens:
                limit = self.assistant.model.config.text_config.max_position_embeddings
                raise ValueError(
                    f"{drafts} drafts of {tokens} tokens do not fit into this model's {limit} with the question; "
                    "ask for shorter answers or a smaller window"
                )

    @property
    def _question(self) -> str:
        return self.messages[-1]["content"]

    @property
    def _pictured(self) -> bool:
        return bool(self.encoded.inputs)

    def _turned(self, question: str) -> list[dict]:
        return [*self.messages[:-1], {**self.messages[-1], "content": question}]

    def answer(self) -> Answer:
        """The answer, with its drafts."""
        strategy = self.settings.strategy
        assert strategy is not None
        outcome = STRATEGIES[strategy](self, self.settings)
        answer: Answer = outcome.result
        stages = self.encoded.timings | self.timings
        return replace(
            answer,
            text=outcome.text,
            drafts=outcome.drafts,
            agreement=outcome.agreement,
            changed=outcome.changed,
            timings=stages | {"total": sum(stages.values())},
        )

    def drafts(self, against: Contrast | None, copies: int) -> list[Outcome]:
        """`copies` answers from one reading of the prompt."""
        assistant, settings = self.assistant, self.settings
        tokenizer, ends = assistant.processor.tokenizer, ends_of(assistant.model)
        room = min(settings.max_new_tokens, assistant.room(self.prompt))
        wording = Wording(
            room, ends, tokenizer.pad_token_id, settings.temperature or None, settings.top_p, settings.seed, against
        )
        taking = Taking(assistant.model, routed=False)
        inputs = assistant.prompt_inputs([self.encoded], [self.prompt])
        streamer = self.streamer if copies == 1 else None
        if streamer is not None:
            streamer.put(inputs["input_ids"])
        with timed(self.timings, "generate"), assistant.passing(copies, "draft", self.stop) as going:
            if not going:
                return [Outcome("", [Draft("", 0.0)], result=Answer("", self.encoded.scene))] * copies
            told = draft(*speaker(assistant.model, inputs, taking), wording, copies, self._over(streamer))
        if streamer is not None:
            streamer.end()
        evidence = taking.told([0])[0]
        answers = [
            replace(
                answer_of(assistant.processor, ends, ids, self.prompt, self.encoded, settings, {}, room),
                **vars(evidence),
            )
            for ids in told.ids.tolist()
        ]
        outcomes = [
            Outcome(
                answer.text,
                [Draft(answer.text, logprob)],
                changed=[tokenizer.decode([token]) for token, other in zip(ids, where, strict=True) if other],
                result=answer,
            )
            for answer, logprob, ids, where in zip(
                answers, told.logprobs.tolist(), told.ids.tolist(), told.changed.tolist(), strict=True
            )
        ]
        if self.announce is not None and copies > 1:
            self.announce([outcome.drafts[0] for outcome in outcomes])
        return outcomes

    def _over(self, streamer: PieceStreamer | None) -> Callable[[Tensor], Tensor] | None:
        """Which rows of ids (R, N) hold a stop text, or all once somebody said stop."""
        stops = stops_of(self.assistant.processor, self.settings)
        criterion = StopStringCriteria(self.assistant.processor.tokenizer, list(stops)) if stops else None

        def over(ids: Tensor) -> Tensor:
            if streamer is not None:
                streamer.put(ids[0, -1:])
            if self.stop is not None and self.stop.is_set():
                return torch.ones(len(ids), dtype=torch.bool)
            return torch.zeros(len(ids), dtype=torch.bool) if criterion is None else criterion(ids, None)

        return over

    def again(self, turn: Callable[[str], str], last: bool) -> Outcome:
        """A greedy answer to another last question."""
        messages = self._turned(turn(self._question))
        prompt = self.assistant.prompt_ids(messages, self._pictured)
        plain = replace(self.settings, samples=1, contrast=0.0, temperature=0.0)
        with timed(self.timings, "combine"):
            answer = self.assistant._answer(
                [self.encoded], [prompt], plain, self.streamer if last else None, self.stop
            )[0]
        return Outcome(answer.text, result=answer)


def answered(
    assistant: "MoAI",
    encoded: EncodedImage,
    messages: Sequence[dict],
    prompt: Sequence[int],
    settings: Decoding,
    streamer: PieceStreamer | None = None,
    stop: threading.Event | None = None,
    announce: Callable[[list[Draft]], None] | None = None,
) -> Answer:
    """The answer to one question in whatever way `settings` choose, settled with what experts found."""
    if settings.strategy is None:
        answer = assistant._answer([encoded], [prompt], settings, streamer, stop)[0]
    else:
        answer = Deliberator(assistant, encoded, messages, prompt, settings, streamer, stop, announce).answer()
    return settled(assistant, encoded, messages[-1]["content"], prompt, answer, stop)
