"""Asks every question in every way; answers go to a journal as they come."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from moai.evaluation.photos.speaker import Inputs, Speaker
from moai.evaluation.strategies.questions import Asked
from moai.inference.strategies import Wording, draft
from moai.inference.strategies.contrast import Contrast
from moai.inference.strategies.deliberation import voted, windows
from moai.models.processing import pad
from moai.models.prompts import aggregate_question
from moai.streaming import spoken
from perception.registry import kinds

AGGREGATED = "aggregate"


@dataclass(frozen=True)
class Way:
    """One way of answering: `copies` drafts at a temperature (None: one greedy answer), or a contrast."""

    name: str
    copies: int = 1
    temperature: float | None = None
    contrast: Contrast | None = None


def ways(copies: int, temperatures: Sequence[float], strengths: Sequence[float], weak: Sequence[str]) -> list[Way]:
    """Greedy, drafts at each temperature, and each weak side at each strength."""
    made = [Way("greedy")]
    made += [Way(f"drafts {temperature:g}", copies, temperature) for temperature in temperatures]
    made += [
        Way(f"contrast {name} {strength:g}", contrast=Contrast(name, strength))
        for name in weak
        for strength in strengths
    ]
    return made


@dataclass(frozen=True)
class Said:
    """An answer with the mean log-probability of its tokens and their number, and at how many contrast chose."""

    text: str
    logprob: float
    tokens: int
    changed: int = 0


class Answers(Protocol):
    """What keeps answers by their keys, as `moai.evaluation.journal.Journal` does."""

    answers: dict[str, str]

    def add(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Keeps rows of `key` and `answer`."""


class Asker:
    """Asks through one speaker; pictures are encoded once."""

    def __init__(self, speaker: Speaker, tokens: int, seed: int):
        self.speaker, self.tokens, self.seed = speaker, tokens, seed
        self._encoded: dict[str, Inputs] = {}
        self._ends = tuple(_ends(speaker.model))

    def ask(self, way: Way, asked: Sequence[Asked], journal: Answers) -> None:
        """Answers what the journal has no answer of in this way: lists of `Said` as JSON, and the seconds of a batch
        beside its first one."""
        waiting = [one for one in asked if f"{way.name}|{one.key}" not in journal.answers]
        self._told(way, waiting, [one.question for one in waiting], journal)

    def aggregate(self, way: Way, window: int, reserve: int, asked: Sequence[Asked], journal: Answers) -> None:
        """One answer out of the drafts of `way`, which were asked before, window by window; each window's is kept."""
        before = None
        for group in windows(way.copies, window, reserve):
            named = replace(way, name=aggregated(way.name, group.stop), copies=1, temperature=None)
            waiting = [one for one in asked if f"{named.name}|{one.key}" not in journal.answers]
            questions = []
            for one in waiting:
                drafts = [
                    said.text for said in read(journal.answers[f"{way.name}|{one.key}"])[group.start : group.stop]
                ]
                best = None if before is None else read(journal.answers[f"{before}|{one.key}"])[0].text
                questions.append(aggregate_question(one.question, drafts, best, reserve))
            self._told(named, waiting, questions, journal)
            before = named.name

    @torch.inference_mode(False)
    def _told(self, way: Way, asked: Sequence[Asked], questions: Sequence[str], journal: Answers) -> None:
        prompts = [
            self.speaker.asked(question, with_image=bool(one.picture))
            for one, question in zip(asked, questions, strict=True)
        ]
        wording = Wording(
            self.tokens, self._ends, self.speaker.processor.tokenizer.pad_token_id, way.temperature, 1.0, self.seed,
            way.contrast,
        )  # fmt: skip
        for places in self._batches(prompts, way.copies):
            encoded = [self._seen(asked[place]) for place in places]
            started = time.perf_counter()
            said = self._drafts([prompts[place] for place in places], encoded, wording, way.copies)
            seconds = time.perf_counter() - started
            rows = [
                {"key": f"{way.name}|{asked[place].key}", "answer": write(one)}
                for place, one in zip(places, said, strict=True)
            ]
            journal.add([*rows, {"key": f"{way.name}|seconds|{asked[places[0]].key}", "answer": str(seconds)}])

    def _drafts(
        self, prompts: Sequence[list[int]], encoded: Sequence[Inputs], wording: Wording, copies: int
    ) -> list[list[Said]]:
        speaker, processor = self.speaker, self.speaker.processor
        ids, mask = pad(prompts, processor.tokenizer.pad_token_id, left=True)
        inputs = {"input_ids": ids.to(speaker.device), "attention_mask": mask.to(speaker.device)}
        inputs |= {name: torch.cat([one[name] for one in encoded]) for name in encoded[0]}
        told = draft(speaker.model, inputs, wording, copies)
        texts = processor.tokenizer.batch_decode(told.ids, skip_special_tokens=True)
        said = [
            Said(spoken(text, processor.style.stop), logprob, self._length(row), changed)
            for text, logprob, row, changed in zip(
                texts, told.logprobs.tolist(), told.ids.tolist(), told.changed.sum(1).tolist(), strict=True
            )
        ]
        return [said[start : start + copies] for start in range(0, len(said), copies)]

    def _length(self, ids: list[int]) -> int:
        return next((place + 1 for place, token in enumerate(ids) if token in self._ends), len(ids))

    def _batches(self, prompts: Sequence[list[int]], copies: int) -> Iterator[list[int]]:
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        size = max(1, self.speaker.batch_size // copies)
        yield from (order[start : start + size] for start in range(0, len(order), size))

    def _seen(self, one: Asked) -> Inputs:
        if not one.picture:
            return {}
        if one.picture not in self._encoded:
            assert one.pixels is not None
            every = tuple(kind.name for kind in kinds())
            inputs = self.speaker.processor.image_inputs([one.pixels()], [one.scene], every)
            with torch.no_grad():
                encoded = self.speaker.model.encode(
                    **{name: part.to(self.speaker.device) for name, part in inputs.items()}
                )
            self._encoded[one.picture] = encoded
        return self._encoded[one.picture]


def aggregated(drafts: str, count: int) -> str:
    """The name of the way that makes one answer out of the first `count` drafts of a way."""
    return f"{AGGREGATED} {drafts} of {count}"


def write(said: Sequence[Said]) -> str:
    """As a journal keeps it."""
    return json.dumps([[one.text, round(one.logprob, 5), one.tokens, one.changed] for one in said])


def read(text: str) -> list[Said]:
    """What `write` wrote."""
    return [Said(*row) for row in json.loads(text)]


def choice(drafts: Sequence[Said]) -> tuple[str, int]:
    """The winner of a vote, and how many agree with it."""
    kept, place = voted([one.text for one in drafts], [one.logprob for one in drafts])
    return kept[place].text, kept[place].votes


def _ends(model) -> list[int]:
    ends = model.generation_config.eos_token_id
    return [] if ends is None else ends if isinstance(ends, list) else [ends]


def seconds_of(way: str, answers: Mapping[str, str]) -> float:
    """Seconds that a way took in all."""
    return sum(float(value) for key, value in answers.items() if key.startswith(f"{way}|seconds|"))
