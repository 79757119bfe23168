"""POPE's protocol: is a thing in the picture? As many yes as no; the absent ones are drawn in three ways.

Li et al. 2023, "Evaluating Object Hallucination in Large Vision-Language Models" (arXiv 2305.10355), section 5.1:
random takes any thing that is not there, popular those that most pictures show, adversarial those that most often stand
beside what is there. Of a picture at most three things of each answer are asked. Questions that the authors published
about a picture are asked too.
"""

from collections import Counter
from collections.abc import Sequence

from moai.data.photographs.photograph import labels_of
from moai.evaluation.metrics.pope import pope_scores
from moai.evaluation.metrics.yes_no import sentence_yes_no
from moai.evaluation.photos.item import Item, Task, View, each

SPLITS = ("random", "popular", "adversarial")
PER_ANSWER = 3
DETECTED = 0.25
"""The rule says yes where the detector does with this score."""


def question(label: str) -> str:
    """POPE's question."""
    return f"Is there {'an' if label[0] in 'aeiou' else 'a'} {label} in the image?"


def make(views: Sequence[View], seed: int) -> list[Item]:
    """Items of all pictures whose boxes are exhaustive, and the published ones."""
    boxed = [view for view in views if view.photograph.exhaustive]
    labels = labels_of([view.photograph for view in boxed])
    there = {view.name: {box.label for box in view.photograph.boxes} for view in boxed}
    popular = Counter(label for names in there.values() for label in sorted(names))
    beside: dict[str, Counter] = {label: Counter() for label in labels}
    for labels_there in there.values():
        for label in labels_there:
            beside[label].update(labels_there - {label})
    items = []
    for view in boxed:
        rng, found = view.random(seed, "pope"), sorted(there[view.name])
        absent = [label for label in labels if label not in there[view.name]]
        absent = [absent[place] for place in rng.permutation(len(absent))]
        near = sum((beside[label] for label in found), Counter())
        drawn = {
            "random": absent,
            "popular": sorted(absent, key=lambda label: -popular[label]),
            "adversarial": sorted(absent, key=lambda label: -near[label]),
        }
        count = min(PER_ANSWER, len(found), len(absent))
        present = [found[place] for place in rng.permutation(len(found))[:count]]
        for split in SPLITS:
            for label, other in zip(present, drawn[split], strict=False):
                items.append(_item(view, split, question(label), "yes", label))
                items.append(_item(view, split, question(other), "no", other))
    for view in views:
        for one in view.photograph.questions:
            if one.get("source") == "POPE":
                label = one["question"].removeprefix("Is there a ").removeprefix("Is there an ")
                label = label.removesuffix(" in the image?")
                items += [
                    _item(view, f"published {split}", one["question"], one["answer"], label)
                    for split in one.get("splits", ())
                ]
    return items


def _item(view: View, group: str, asked: str, answer: str, label: str) -> Item:
    rule = None if view.scene is None else "yes" if view.count(label, DETECTED) else "no"
    return Item("pope", group, view.name, asked, (answer,), rule=rule)


def measures(items: Sequence[Item], answers: Sequence[str]) -> dict[str, float]:
    """Precision, recall, F1 and share of yes, each 0..1."""
    scores = pope_scores(answers, [item.truth[0] for item in items])
    return {name: scores[name] for name in ("precision", "recall", "f1", "yes_ratio")}


TASK = Task(
    "pope",
    "is a thing in the picture (POPE's protocol)",
    make,
    each(lambda item, text: sentence_yes_no(text) == item.truth[0]),
    measures=measures,
)
