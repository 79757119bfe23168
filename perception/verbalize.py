"""Scene -> the words that the compressor reads, in the sentences that the released weights were trained on."""

from collections.abc import Sequence

from perception.guard.door import sound
from perception.registry import kinds
from perception.scene import Scene
from perception.words import MAX_CHARACTERS


def verbalize(scene: Scene, experts: Sequence[str] | None = None) -> str:
    """What the experts saw, in words: the texts of `experts` (full names; None: all), in their fixed order, joined by
    one space.

    An expert that saw nothing, or is left out, says the empty string, and its space stays, unless its kind is optional.
    What no scene should hold (see `perception.guard.door.admit`) is not said, and each expert says at most 20,000
    characters.
    """
    scene = sound(scene)
    said = [
        (kind, kind.say(scene)[:MAX_CHARACTERS] if experts is None or kind.name in experts else "") for kind in kinds()
    ]
    return " ".join(words for kind, words in said if words or not kind.optional)
