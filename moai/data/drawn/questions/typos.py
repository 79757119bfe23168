"""Slips of the pen in the templates of questions, so that a learner does not hang on every word of them."""

import re

import numpy as np

from moai.data.draws import pick

STRAY_WORDS = (
    "now", "just", "really", "maybe", "also", "there", "this", "here", "exactly", "quite", "well", "seen", "found",
    "given", "taken", "known", "whole", "certain", "likely", "kindly", "simply", "then", "may", "might", "shall",
    "actually", "roughly", "only", "again", "once", "always", "clearly", "right", "good", "nice", "big", "little",
    "new", "old", "very", "some", "each", "every", "such", "same", "other", "more", "most", "much", "many", "about",
    "around", "hey", "hi", "sir", "friend", "guess", "believe", "think", "know", "want", "need", "make", "made", "get",
    "gets", "come", "comes", "go", "goes", "put", "keep", "kept", "show", "showing", "called", "used", "told", "place",
    "photo", "scene", "view", "frame", "shot", "screen", "spot", "item", "items", "stuff", "anything", "its",
)  # fmt: skip
"""Words that take the place of others, or stand between them."""


def slip(template: str, rng: np.random.Generator) -> str:
    """The template with one slip: a word outside its slots dropped, changed, put in or mistyped, or careless typing.

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
    if kind < 0.55:
        del words[at]
    elif kind < 0.75:
        words[at] = pick(rng, STRAY_WORDS)
    elif kind < 0.9:
        words.insert(at, pick(rng, STRAY_WORDS))
    else:
        words[at] = _mistyped(words[at], rng)
    return " ".join(words)


def _mistyped(word: str, rng: np.random.Generator) -> str:
    """The word with two letters swapped, or one left out; a single letter as it is."""
    if len(word) < 2:
        return word
    at = int(rng.random() * (len(word) - 1))
    pair = word[at + 1] + word[at] if rng.random() < 0.5 else word[at + 1]
    return word[:at] + pair + word[at + 2 :]
