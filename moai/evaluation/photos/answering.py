"""Asks every item in every way; answers go to a journal as they come."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from moai.evaluation.journal import Journal
from moai.evaluation.photos.item import Item, View, task
from moai.evaluation.photos.speaker import Inputs, Speaker
from moai.evaluation.photos.ways import MODEL, PLAIN, TUNED, Way, heard
from moai.settling import settle
from perception.images import load_image
from perception.verbalize import verbalize

HINT = "Answer the question using a single word or phrase."
"""What an untaught language model is told where a short answer is wanted."""
_PICTURES_AT_ONCE = 32


class Asker:
    """Asks items about `views` through `speakers`, by who speaks; pictures are encoded once, the experts' part once for
    each set of experts."""

    def __init__(self, speakers: Mapping[str, Callable[[], Speaker]], views: Sequence[View]):
        self._makers, self._made = speakers, dict[str, Speaker]()
        self.views = {view.name: view for view in views}
        self._images: dict[str, Inputs] = {}

    def speaker(self, name: str) -> Speaker:
        """Who speaks, loaded at the first question."""
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def ask(self, way: Way, items: Sequence[Item], journal: Journal) -> None:
        """Answers those items that the journal has no answer of in this way."""
        speaker = self.speaker(way.speaker)
        waiting = [item for item in items if answer_key(way.name, item) not in journal.answers]
        # What is asked twice, under two names, is answered once.
        alike: dict[tuple, list[Item]] = {}
        for item in waiting:
            alike.setdefault((item.picture, item.question, item.options, tokens_of(item)), []).append(item)
        firsts = [same[0] for same in alike.values()]
        experts = self._experts(way, speaker, {item.picture for item in firsts if item.picture})
        parts: dict[int, list[Item]] = {}
        for item in firsts:
            parts.setdefault(0 if item.options else tokens_of(item), []).append(item)
        for tokens, part in sorted(parts.items()):
            prompts = [self._prompt(way, speaker, item) for item in part]
            encoded = [experts.get(item.picture) if way.picture else None for item in part]
            said = speaker.answers(prompts, encoded, tokens) if tokens else _losses(speaker, prompts, encoded, part)
            for batch in said:
                if way.settled and tokens:
                    batch = {
                        place: self._settled(way, speaker, part[place], prompts[place], encoded[place], text)
                        for place, text in batch.items()
                    }
                journal.add(
                    {"key": answer_key(way.name, same), "answer": text}
                    for place, text in batch.items()
                    for same in alike[
                        (part[place].picture, part[place].question, part[place].options, tokens_of(part[place]))
                    ]
                )
        if firsts:
            print(f"{way.name}: {len(firsts)} questions answered", file=sys.stderr)

    def _settled(
        self, way: Way, speaker: Speaker, item: Item, prompt: list[int], encoded: Inputs | None, text: str
    ) -> str:
        """The text, or what stands instead of it after what the way's experts found."""
        scene = self.views[item.picture].scene if item.picture else None
        if scene is None:
            return text

        def losses(texts: Sequence[str]) -> list[float]:
            told: dict[int, tuple[float, int]] = {}
            for batch in speaker.losses([prompt] * len(texts), [encoded] * len(texts), texts):
                told |= batch
            return [told[place][0] for place in range(len(texts))]

        return settle(item.question, text, heard(scene, way.experts or ()), losses)

    def _prompt(self, way: Way, speaker: Speaker, item: Item) -> list[int]:
        scene = self.views[item.picture].scene if way.words and item.picture else None
        told = "" if scene is None else verbalize(scene).strip()
        if way.speaker == TUNED:
            return speaker.taught(item.question, told)
        hinted = way.speaker == PLAIN and way.words and task(item.of or item.task).short and not item.options
        question = f"{item.question}\n{HINT}" if hinted else item.question
        return speaker.asked(question, told, way.picture)

    @torch.inference_mode()
    def _experts(self, way: Way, speaker: Speaker, names: set[str]) -> dict[str, Inputs]:
        """Encoded pictures, with what the way's experts say of them."""
        if not way.picture or way.speaker != MODEL:
            return {}
        found: dict[str, Inputs] = {}
        order = sorted(names)
        for start in range(0, len(order), _PICTURES_AT_ONCE):
            part = [self.views[name] for name in order[start : start + _PICTURES_AT_ONCE]]
            self._see(speaker, [view for view in part if view.name not in self._images])
            rows: list[Inputs] = [{} for _ in part]
            if way.experts is not None:
                scenes = [view.scene for view in part if view.scene is not None]
                inputs = speaker.processor.expert_inputs(scenes, way.experts)
                inputs = {name: tensor.to(speaker.device) for name, tensor in inputs.items()}
                rows = _rows(speaker.model.encode(**inputs), len(part))
            found |= {view.name: self._images[view.name] | row for view, row in zip(part, rows, strict=True)}
        return found

    def _see(self, speaker: Speaker, views: Sequence[View]) -> None:
        if views:
            pictures = [load_image(view.photograph.read()) for view in views]
            inputs = speaker.processor.image_inputs(pictures, None)
            encoded = speaker.model.encode(**{name: tensor.to(speaker.device) for name, tensor in inputs.items()})
            self._images |= {view.name: row for view, row in zip(views, _rows(encoded, len(views)), strict=True)}


def answer_key(way: str, item: Item) -> str:
    """What an answer is called in a journal."""
    return f"{way}|{item.key}"


def tokens_of(item: Item) -> int:
    """The longest answer to an item."""
    return task(item.of or item.task).tokens if item.task == "wordings" else task(item.task).tokens


def _rows(encoded: Inputs, count: int) -> list[Inputs]:
    return [{name: tensor[row : row + 1] for name, tensor in encoded.items()} for row in range(count)]


def _losses(
    speaker: Speaker, prompts: Sequence[list[int]], encoded: Sequence[Inputs | None], items: Sequence[Item]
) -> Iterator[dict[int, str]]:
    """For items with options, as JSON, the loss and the number of tokens of each option."""
    wide = [(place, option) for place, item in enumerate(items) for option in range(len(item.options))]
    told: dict[int, dict[int, tuple[float, int]]] = {}
    for batch in speaker.losses(
        [prompts[place] for place, _ in wide],
        [encoded[place] for place, _ in wide],
        [items[place].options[option] for place, option in wide],
    ):
        done = {}
        for number, loss in batch.items():
            place, option = wide[number]
            told.setdefault(place, {})[option] = loss
            if len(told[place]) == len(items[place].options):
                done[place] = json.dumps([told[place][one] for one in range(len(items[place].options))])
        yield done
