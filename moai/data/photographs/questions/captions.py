"""Descriptions: what people wrote, and whether a caption fits."""

import re

from moai.data.draws import pick, shuffled
from moai.data.photographs.asking import Asking, Turn, yes
from moai.data.photographs.questions.lists import objects

SHORT = (
    *("Provide a one-sentence caption for the provided image.",) * 2, "Describe the image.", "Describe the {pic}.",
    "Describe this {pic}.", "Provide a short description for this image.", "Give a short caption for the {pic}.",
    "Write a caption for this {pic}.", "Caption this {pic}.", "Describe the {pic} in one sentence.",
    "What is happening in the {pic}?", "What does the {pic} show?", "What is going on here?", "Describe the photo.",
    "Give a brief description of the {pic}.", "Summarize the {pic} in one sentence.", "What is in this {pic}?",
    "Please describe the {pic} briefly.", "What is this a picture of?",
)  # fmt: skip
LONG = (
    "Describe the image in detail.", "Describe the {pic} in detail.", "Give a detailed description of the {pic}.",
    "Describe everything that you see.", "Tell me as much as you can about the {pic}.", "Describe the {pic} at length.",
)  # fmt: skip
WHICH = ("Which caption fits the {pic}?", "Which caption describes the {pic}?", "Which sentence is true of the {pic}?",
         "Which description matches the image?")  # fmt: skip
FITS = ('Does this caption fit the {pic}: "{c}"?', 'Does the sentence "{c}" describe the {pic}?', "Is this true: {c}",
        'Is the caption "{c}" right for this {pic}?', "{c} Does that match the {pic}?")  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray")
_COLOUR = re.compile(rf"\b({'|'.join(COLOURS)})\b")


def tidy(caption: str) -> str:
    """A caption as a sentence: no gaps before its signs, a capital letter and a stop."""
    text = re.sub(r"\s+", " ", re.sub(r"\s+([.,!?;:'])", r"\1", caption)).strip()
    text = text.rstrip(" .,;:") + "." if not text.endswith(("!", "?")) else text
    return text[:1].upper() + text[1:]


def caption(asking: Asking) -> Turn | None:
    """One of the captions."""
    captions = asking.photograph.captions
    return (asking.say(SHORT), tidy(pick(asking.rng, captions))) if captions else None


def description(asking: Asking) -> Turn | None:
    """Two captions with the fewest words in common, and what things there are."""
    captions = asking.photograph.captions
    if len(captions) < 2:
        return None
    first = pick(asking.rng, captions)
    words = set(first.lower().split())
    second = min(captions, key=lambda text: len(words & set(text.lower().split())) / len(text.split() or [1]))
    listed = objects(asking)
    said = [tidy(first), tidy(second)] + ([f"The image shows {_lower(listed[1])}"] if listed else [])
    return asking.say(LONG), " ".join(said)


def pair(asking: Asking) -> Turn | None:
    """Which of two captions fits, or whether one does; the wrong one is people's, or one with another colour, or
    another picture's."""
    photograph, rng = asking.photograph, asking.rng
    if photograph.caption_pairs and asking.coin(0.7):
        one = pick(rng, photograph.caption_pairs)
        right, wrong = tidy(one["true"]), tidy(one["false"])
    elif photograph.captions:
        right = tidy(pick(rng, photograph.captions))
        others = asking.other.captions if asking.other is not None else ()
        made = recoloured(asking, right) if asking.coin() else None
        if made is None and not others:
            return None
        wrong = tidy(pick(rng, others)) if made is None else made
    else:
        return None
    if asking.coin():
        true = asking.coin()
        return asking.say(FITS, c=(right if true else wrong).replace("{", "").replace("}", "")), yes(true)
    options = shuffled(rng, [right, wrong])
    text = asking.say(WHICH) + "".join(f"\n{letter}. {option}" for letter, option in zip("AB", options, strict=True))
    return text, "AB"[options.index(right)]


def recoloured(asking: Asking, text: str) -> str | None:
    """The caption with one of its colours changed to one that no caption names; None without colours."""
    places = list(_COLOUR.finditer(text))
    others = [hue for hue in COLOURS if not any(hue in one.lower() for one in asking.photograph.captions)]
    if not places or not others:
        return None
    place = pick(asking.rng, places)
    return text[: place.start()] + pick(asking.rng, others) + text[place.end() :]


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
