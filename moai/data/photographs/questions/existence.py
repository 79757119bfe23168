"""Whether something is in the picture; a little more often "Yes" than "No"."""

from moai.data.draws import pick
from moai.data.nouns import with_article
from moai.data.photographs.asking import Asking, Turn, yes

WORDINGS = (
    *("Is there {a} in the image?",) * 6,
    "Is there {a}?", "Is there {a} here?", "Is there {a} in this {pic}?", "Do you see {a}?", "Can you see {a}?",
    "Do you see {a} in the {pic}?", "Does the {pic} show {a}?", "Does the {pic} contain {a}?", "Is {a} visible?",
    "Is {a} present in the {pic}?", "Does {a} appear in the {pic}?", "Are there any {plural} in the {pic}?",
    "Are there any {plural}?", "Is there {a} in the photo? Answer yes or no.", "Can {a} be seen in the {pic}?",
    "Is there at least one {one} in the {pic}?", "Look at the {pic}. Is there {a}?", "Any {plural} here?",
)  # fmt: skip

_THERE = 0.57
"""Share of what is there: a model is surer of what it has learned from than of a new photograph, where doubt is a "No";
so taught by halves, it finds too little there."""


def _asked(asking: Asking, label: str, there: bool) -> Turn:
    one = asking.noun(label)
    return asking.say(WORDINGS, a=with_article(one), one=one, plural=asking.nouns(label)), yes(there)


def existence(asking: Asking) -> Turn | None:
    """By the boxes of an exhaustive photograph, else by what its captions name."""
    if asking.absence is None:
        return _of_another_sort(asking)
    there = asking.coin(_THERE)
    label = asking.present() if there else asking.absent()
    return None if label is None else _asked(asking, label, there)


def _of_another_sort(asking: Asking) -> Turn | None:
    """Rooms, receipts and number plates are of one sort: they show no animals and no sports."""
    return _asked(asking, pick(asking.rng, sorted(_FAR_FROM_ALL)), False) if asking.coin(0.2) else None


_FAR_FROM_ALL = frozenset({
    "dog", "cat", "horse", "cow", "sheep", "elephant", "bear", "zebra", "giraffe", "airplane", "boat",
    "skateboard", "snowboard", "surfboard", "pizza", "kite"
})  # fmt: skip
