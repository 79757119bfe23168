"""Runs the `drawn` suite through the Python API of MoAI alone."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from moai.assistant import MoAI
from moai.evaluation.answering import Answerer, Request, Variant, fingerprint
from moai.evaluation.drawn.documents import PARTS, SCENES, Document, make_documents, scene_image
from moai.evaluation.drawn.scores import drawn_scores
from moai.evaluation.journal import Journal
from perception.files.whole import write_json

MAX_NEW_TOKENS = 16
"""Longest answer; a sign has at most 14 characters."""


def requests_of(documents: Iterable[Document]) -> list[Request]:
    """Documents as requests about their scenes' pictures."""
    return [
        Request(one.key, one.scene, partial(scene_image, one.scene), one.question, {"max_new_tokens": MAX_NEW_TOKENS})
        for one in documents
    ]


def run_drawn(
    assistant: MoAI,
    model_name: str,
    folder: Path,
    limit: int | None = None,
    batch_size: int = 8,
    scenes: int = SCENES,
    evaluation_seed: int = 0,
    variant: Variant | None = None,
    parts: Sequence[str] = PARTS,
) -> dict:
    """Answers the suite's questions, or those that `folder` has no answer to yet, and scores them.

    `folder` gets `answers.jsonl`, `settings.json` and `scores.json`, whose content is returned. Raises ValueError with
    one sentence for settings out of range, or for a folder that was begun with others.
    """
    variant = variant or Variant()
    documents = make_documents(parts, scenes, evaluation_seed, limit)
    settings = {
        "benchmark": "drawn",
        "model": model_name,
        "weights": fingerprint(assistant.model),
        "variant": variant.name,
        "evaluation seed": evaluation_seed,
    }
    answerer = Answerer(assistant, variant, batch_size)
    journal = Journal(folder, settings)
    truths = {one.key: one for one in documents}
    missing = [request for request in requests_of(documents) if request.key not in journal.answers]
    with tqdm(total=len(documents), initial=len(documents) - len(missing), desc=f"drawn, {variant.name}") as progress:
        for batch in answerer.batches(missing):
            journal.add(
                {"key": request.key, "question": request.question, "truth": truths[request.key].answer, "answer": text}
                for request, text in batch
            )
            progress.update(len(batch))
    result = settings | {"scenes": scenes, "limit": limit, "scores": drawn_scores(documents, journal.answers)}
    write_json(journal.folder / "scores.json", result)
    return result
