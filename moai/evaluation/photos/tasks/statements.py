"""Which of two captions fits the picture, by their likelihood (SugarCrepe), and whether a statement is true (VSR).

Hsieh et al. 2023, "SugarCrepe: Fixing Hackable Benchmarks for Vision-Language Compositionality" (arXiv 2306.14610); Liu
et al. 2023, "Visual Spatial Reasoning" (arXiv 2205.00363). Captions differ in length, so likelihoods are those of a
token, on average.
"""

import json
from collections.abc import Sequence

from moai.evaluation.metrics.yes_no import sentence_yes_no
from moai.evaluation.photos.item import Item, Task, View, each
from moai.evaluation.photos.tasks.captions import QUESTION

SPATIAL = "VSR"


def make(views: Sequence[View], seed: int) -> list[Item]:
    """Every pair of captions, in a group for what was changed, and every statement."""
    items = []
    for view in views:
        for pair in view.photograph.caption_pairs:
            group = f"SugarCrepe {str(pair.get('kind', '')).replace('_', ' ')}".strip()
            items.append(Item("statements", group, view.name, QUESTION, options=(pair["true"], pair["false"])))
        for one in view.photograph.spatial_statements:
            asked = f'Is this statement true of the image? "{one["statement"]}"'
            items.append(Item("statements", SPATIAL, view.name, asked, ("yes" if one["true"] is True else "no",)))
    return items


def mark(item: Item, text: str) -> float:
    """Of options, whether the right one's token is likelier than those of all others; of statements, yes or no."""
    if not item.options:
        return float(sentence_yes_no(text) == item.truth[0])
    losses = [loss / max(tokens, 1) for loss, tokens in json.loads(text)]
    return float(losses[0] < min(losses[1:]))


TASK = Task("statements", "which caption fits (SugarCrepe), is a statement true (VSR)", make, each(mark))
