"""Slips of the pen in the templates of questions, so that a learner does not hang on every word of them."""

import re

import numpy as np

from synth.draws import pick

STRAY_WORDS = (
    "now", "just", "really", "maybe", "also", "there", "this", "here", "exactly", "quite", "well", "seen", "found",
    "given", "taken", "known", "whole", "certain", "likely", "kindly", "simply", "then", "may", "might", "shall",
)  # fmt: skip
"""Words that take the place of others, or stand between them."""


def slip(template: str, rng: np.random.Generator) -> str:
    """The template with one slip: a word outside its slots dropped, changed or put in, or careless typing.

    Slots, and the words that stand at one, stay as they are.
    """
    kind = rng.random()
    if kind < 0.2:
        return template[0].lower() + template[1:] if not template.startswith("{") else template
    if kind < 0.4:
        return template.rstrip("?.")
    words = template.split(" ")
    free = [at for at, word in enumerate(words) if re.fullmatch("[A-Za-z]+", word)]
    if len(free) < 3:
        return template
    at = pick(rng, free)
    if kind < 0.6:
        del words[at]
    elif kind < 0.85:
        words[at] = pick(rng, STRAY_WORDS)
    else:
        words.insert(at, pick(rng, STRAY_WORDS))
    return " ".join(words)
