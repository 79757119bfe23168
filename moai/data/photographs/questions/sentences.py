"""The same answers in full sentences, for those who ask for one."""

from moai.data.nouns import counted, plural_noun, singular_noun, with_article
from moai.data.photographs.asking import Asking, Turn
from moai.data.photographs.questions.counting import MAX_COUNT
from moai.data.places import middle, region_of

ASKED = ("{q} Answer in a full sentence.", "{q} Please answer in a complete sentence.",
         "{q}\nAnswer with a full sentence.",
         "In a full sentence: {q}")  # fmt: skip
AT = {
    "top left": "at the top left", "top": "at the top", "top right": "at the top right", "left": "on the left",
    "center": "in the center", "right": "on the right", "bottom left": "at the bottom left", "bottom": "at the bottom",
    "bottom right": "at the bottom right",
}  # fmt: skip


def sentence(asking: Asking) -> Turn | None:
    """Whether something is there, how many there are, or where it is."""
    draw = asking.rng.random()
    made = _existence(asking) if draw < 0.4 else _count(asking) if draw < 0.7 else _place(asking)
    return None if made is None else (asking.say(ASKED, q=made[0]), made[1])


def _existence(asking: Asking) -> Turn | None:
    there = asking.coin()
    label = asking.present() if there else asking.absent()
    if label is None:
        return None
    some = with_article(singular_noun(label))
    return f"Is there {some} in the image?", f"{'Yes, there is' if there else 'No, there is not'} {some} in the image."


def _count(asking: Asking) -> Turn | None:
    label = asking.present()
    if label is None or not 0 < asking.counts[label] <= MAX_COUNT:
        return None
    count = asking.counts[label]
    verb = "is" if count == 1 else "are"
    some = f"one {singular_noun(label)}" if count == 1 else counted(label, count)
    return f"How many {plural_noun(label)} are there?", f"There {verb} {some} in the image."


def _place(asking: Asking) -> Turn | None:
    for one in asking.singles[:3]:
        if where := region_of(*middle(one.box)):
            noun = singular_noun(one.label)
            return f"Where is the {noun}?", f"The {noun} is {AT[where]} of the image."
    return None
