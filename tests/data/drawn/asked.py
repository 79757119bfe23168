"""Questions about many layouts, and what a test needs to check them."""

import re
from collections import Counter

import numpy as np

from moai.data.drawn.questions.ask import ask
from moai.data.drawn.scene.sample import sample_layout
from tests.data.drawn.scenes import random_layout, street

LAYOUTS = [random_layout(seed) for seed in range(400)] + [sample_layout(seed) for seed in range(150)]


def questions_of(kind, layouts=LAYOUTS, count=6, wording="train"):
    rng = np.random.default_rng(1)
    return [(layout, q) for layout in layouts for q in ask(layout, rng, count, [kind], wording)]


def counts_of(layout):
    counts = Counter(item.label for item in layout.objects)
    counts.update(["sign"] * len(layout.signs))
    counts.update({stuff.label for stuff in layout.stuff if stuff.label})
    return counts


def labels_in(text, nouns):
    """Labels whose noun (what `nouns` maps them to) stands in the text, longest match first."""
    found = []
    for label, noun in sorted(nouns.items(), key=lambda entry: -len(entry[1])):
        if re.search(rf"\b{re.escape(noun)}\b", text):
            text = re.sub(rf"\b{re.escape(noun)}\b", "", text)
            found.append(label)
    return found


def share_of_yes(questions):
    answers = [q.answer for q in questions if q.answer in ("Yes", "No")]
    return answers.count("Yes") / len(answers)


def answers_of(kind, layout=None, tries=60, wording="train"):
    """Everything that is asked about a layout in a kind, question -> answer, lower case."""
    rng = np.random.default_rng(0)
    found = ask(layout or street(), rng, tries, [kind], wording)
    return {q.question.lower(): q.answer for q in found}
