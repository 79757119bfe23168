"""MoAI as a model of lmms-eval: `python -m lmms_eval --model moai --model_args pretrained=... --tasks pope,mme`."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from moai.assistant import Decoding, MoAI
from moai.evaluation.answering import Answerer, Request, Variant, fingerprint
from moai.evaluation.journal import Journal
from moai.evaluation.lmms.likelihood import answer_losses
from moai.evaluation.lmms.strict import import_lmms_eval
from perception.registry import expert_names

lmms = import_lmms_eval("api.model").lmms
MAX_NEW_TOKENS = 64
"""Longest answer where a task does not say."""
_LONGEST = 4096


class MoAIHarness(lmms):
    """Answers the requests of lmms-eval's tasks.

    pretrained: folder or hub id (default, or "embedded": the embedded model). experts: names joined by "+", as
    "seg+det"; experts_from: the preset or YAML file that says which they are (default: the model's own); moai=False
    asks the plain backbone. journal: a folder that keeps answers, so that a killed run continues
    where it stopped. thinking: other fields of `moai.assistant.Decoding`, such as samples=6 and seed=0, or contrast=0.5
    and weak=second. `assistant` takes a loaded model in place of `pretrained`. Raises ValueError with one sentence for
    bad settings.
    """

    is_simple = True

    def __init__(
        self,
        pretrained: str | None = None,
        experts: str | None = None,
        moai: bool = True,
        batch_size: int | str | None = 8,
        device: str | None = None,
        journal: str | Path | Journal | None = None,
        assistant: MoAI | None = None,
        experts_from: str | None = None,
        max_batch_size: int | str | None = None,
        **thinking,
    ):
        super().__init__()
        Decoding.of(thinking)  # a typo is told before anything loads
        self.thinking = thinking
        from accelerate import Accelerator

        self.accelerator = Accelerator()
        # As the harness counts; on processors without an accelerator accelerate does not see its fellow processes.
        self._rank = int(os.environ.get("RANK", self.accelerator.process_index))
        self._world_size = int(os.environ.get("WORLD_SIZE", self.accelerator.num_processes))
        if assistant is None:
            name = None if pretrained in (None, "", "embedded") else str(pretrained)
            place = str(self.accelerator.device) if self._world_size > 1 else device
            assistant = MoAI.from_pretrained(name, device=place, experts_from=experts_from)
        if not str(batch_size or 1).isdigit():
            raise ValueError(f"the batch size must be a number, got {batch_size!r}")
        everyone = tuple(assistant.perception.experts)
        kept = everyone if experts is None else expert_names(str(experts).replace("+", ","))
        variant = Variant("all experts" if kept == everyone else "+".join(kept), kept, moai)
        self.answerer = Answerer(assistant, variant, int(batch_size or 1))
        if journal is not None and not isinstance(journal, Journal):
            settings = {"model": str(pretrained or "embedded"), "weights": fingerprint(assistant.model)}
            settings |= {"experts": list(kept), "moai": moai} | thinking
            journal = Journal(Path(journal), settings, self._rank)
        self.journal = journal

    @property
    def device(self):
        """Where the model lives."""
        return self.answerer.assistant.device

    @property
    def batch_size(self) -> int:
        """Questions answered at once."""
        return self.answerer.batch_size

    def generate_until(self, requests) -> list[str]:
        """The answers to requests of the form (context, generation settings, doc_to_visual, doc id, task, split)."""
        asked = [self._request(*one.args) for one in requests]
        answers = {} if self.journal is None else dict(self.journal.answers)
        missing = {request.key: request for request, _ in asked if request.key not in answers}
        with tqdm(total=len({one.key for one, _ in asked}), disable=self._rank != 0, desc="MoAI") as progress:
            progress.update(progress.total - len(missing))
            for batch in self.answerer.batches(list(missing.values())):
                answers |= {request.key: text for request, text in batch}
                if self.journal is not None:
                    self.journal.add(
                        {"key": request.key, "question": request.question, "answer": text} for request, text in batch
                    )
                progress.update(len(batch))
        return [_until(answers[request.key], stops) for request, stops in asked]

    def loglikelihood(self, requests) -> list[tuple[float, bool]]:
        """For requests of the form (context, answer, doc_to_visual, doc id, task, split) the answer's negative
        log-likelihood and whether greedy decoding says it.

        Negative, since the harness's own models return a loss and its multiple-choice scoring takes the smallest.
        """
        results = []
        rows = [one.args for one in requests]
        size = self.batch_size
        for start in tqdm(range(0, len(rows), size), disable=self._rank != 0, desc="MoAI likelihood"):
            encoded, questions, answers = [], [], []
            for context, answer, doc_to_visual, doc_id, task, split in rows[start : start + size]:
                document = self.task_dict[task][split][doc_id]
                request, _ = self._request(context, {}, doc_to_visual, doc_id, task, split)
                picture = self.answerer.encode(request)
                if picture is None:
                    raise ValueError(f"{task} asks without a picture; likelihoods are given for pictures alone")
                encoded.append(picture)
                questions.append(context)
                answers.append(answer if isinstance(answer, str) else str(answer(document)))
            results += answer_losses(self.answerer.assistant, encoded, questions, answers)
        return results

    def generate_until_multi_round(self, requests) -> list[str]:
        """Not available: raises NotImplementedError."""
        raise NotImplementedError("MoAI answers single questions; tasks of several rounds are not supported")

    def _request(self, context: str, settings: dict, doc_to_visual, doc_id, task: str, split: str):
        """The harness's request as ours, and where its answer is to be cut."""
        decoding = _decoding(settings, task) | self.thinking
        digest = hashlib.sha256(json.dumps([context, decoding], sort_keys=True).encode()).hexdigest()[:12]

        def load():
            pictures = doc_to_visual(self.task_dict[task][split][doc_id])
            if len(pictures) > 1:
                raise ValueError(f"{task} shows {len(pictures)} pictures with one question; MoAI looks at one")
            return pictures[0] if pictures else None

        key = f"{task}/{split}/{doc_id}/{digest}"
        return Request(key, (task, split, doc_id), load, context, decoding), _stops(settings)


def _decoding(settings: dict, task: str) -> dict:
    """Fields of `moai.assistant.Decoding` from a task's generation settings."""
    if (settings.get("num_beams") or 1) > 1:
        raise ValueError(f"{task} wants {settings['num_beams']} beams; MoAI decodes greedily or by sampling")
    decoding = {"max_new_tokens": min(int(settings.get("max_new_tokens") or MAX_NEW_TOKENS), _LONGEST)}
    if settings.get("do_sample") and (settings.get("temperature") or 0) > 0:
        decoding |= {"temperature": float(settings["temperature"]), "top_p": float(settings.get("top_p") or 1.0)}
    return decoding


def _stops(settings: dict) -> Sequence[str]:
    stops = settings.get("until") or ()
    return (stops,) if isinstance(stops, str) else tuple(stops)


def _until(text: str, stops: Sequence[str]) -> str:
    """The text up to the first of the stops."""
    return text[: min((text.find(stop) for stop in stops if stop and stop in text), default=len(text))]
