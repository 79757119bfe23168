"""One sentence about a picture beside those of people: CIDEr and BLEU-4."""

from collections.abc import Sequence

from moai.evaluation.metrics.captions import bleu_4, cider
from moai.evaluation.photos.item import Item, Task, View
from moai.evaluation.photos.tasks.pope import DETECTED

QUESTION = "Provide a one-sentence caption for the provided image."
"""As LLaVA's and lmms-eval's captioning prompts have it."""


def make(views: Sequence[View], seed: int) -> list[Item]:
    """One item for every picture with captions that kept its proportions; a group for each data set."""
    return [
        Item(
            "captions", _group(view.photograph.dataset), view.name, QUESTION, view.photograph.captions, rule=_rule(view)
        )
        for view in views
        if view.photograph.captions and not view.photograph.squashed
    ]


def _group(dataset: str) -> str:
    return "COCO" if dataset.startswith("COCO") else dataset


def _rule(view: View) -> str | None:
    """The three commonest things that were detected."""
    if view.scene is None:
        return None
    things = [f"a {label}" if count == 1 else f"{count} {label}s" for label, count in view.counts(2 * DETECTED).items()]
    return " and ".join(things[:3])


def marks(items: Sequence[Item], answers: Sequence[str]) -> list[float]:
    """CIDEr of every caption, with the group's references as the corpus."""
    return cider(answers, [item.truth for item in items])


def measures(items: Sequence[Item], answers: Sequence[str]) -> dict[str, float]:
    """BLEU-4 of the group."""
    return {"bleu_4": bleu_4(answers, [item.truth for item in items])}


TASK = Task("captions", "a sentence about the picture", make, marks, 40, False, measures, unit="CIDEr")
