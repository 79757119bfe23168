"""Colours of clothes and things, where captions name one and no other."""

import re
from functools import lru_cache

from moai.data.draws import pick
from moai.data.photographs.asking import Asking, Turn, yes
from moai.data.photographs.questions.captions import COLOURS

THINGS = [
    "shirt", "jacket", "coat", "dress", "hat", "cap", "helmet", "shorts", "skirt", "sweater", "suit", "uniform",
    "jersey", "tie", "umbrella", "car", "truck", "bus", "train", "dog", "cat", "horse", "bird", "ball", "frisbee",
    "kite", "couch", "chair", "bike", "motorcycle", "boat", "surfboard", "snowboard", "swimsuit", "bikini",
    "outfit", "hoodie", "scarf", "backpack", "vest", "collar", "bicycle"
]  # fmt: skip
OPEN = ("What color is the {x}?", "What colour is the {x}?", "What is the color of the {x}?",
        "Which color does the {x} have?", "Name the color of the {x}.")  # fmt: skip
YES_NO = ("Is the {x} {hue}?", "Is there a {hue} {x} in the {pic}?", "Does the {x} look {hue}?")


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern:
    return re.compile(rf"\b({'|'.join(COLOURS)}|grey)\s+({'|'.join(THINGS)})\b")


def colour(asking: Asking) -> Turn | None:
    """What colour a thing has, or whether it has one."""
    hues: dict[str, set[str]] = {}
    text = " . ".join(asking.photograph.captions).lower()
    for found in _pattern().finditer(text):
        # "a black and white dog" is not white.
        mixed = text[: found.start()].rstrip().endswith((" and", ","))
        hues.setdefault(found[2], set()).update({found[1].replace("grey", "gray")} | ({"mixed"} if mixed else set()))
    clear = sorted((thing, *hue) for thing, hue in hues.items() if len(hue) == 1 and f"{thing}s " not in text)
    if not clear:
        return None
    thing, hue = pick(asking.rng, clear)
    if asking.coin(0.65):
        return asking.say(OPEN, x=thing), hue
    claimed = hue if (true := asking.coin()) else pick(asking.rng, [one for one in COLOURS if one not in text])
    return asking.say(YES_NO, x=thing, hue=claimed), yes(true)
