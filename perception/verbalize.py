"""Scene -> the words that the compressor reads, in the sentences that the released weights were trained on."""

from collections.abc import Sequence

from perception.registry import kinds
from perception.scene import Scene


def verbalize(scene: Scene, experts: Sequence[str] | None = None) -> str:
    """What the experts saw, in words: the texts of `experts` (full names; None: all), in their fixed order, joined by
    one space.

    An expert that saw nothing, or is left out, says the empty string, and its space stays, unless its kind is optional.
    """
    said = [(kind, kind.say(scene) if experts is None or kind.name in experts else "") for kind in kinds()]
    return " ".join(words for kind, words in said if words or not kind.optional)
