"""The wordings of questions: for every form of question the templates of training and those held out of it.

Slots are bare nouns unless said otherwise: {a} noun with its article ("a dog", "any grass"), {plural} "dogs", {number}
"three", {some} "three dogs", {only} "three dogs" or "only one dog", {Are} and {are} "Are" or "Is" to go with it, {x}
and {y} "dog", {s} subject, {o} object, {sign} "the red sign", {p} predicate, {dir} "left of", {hue} "red",
{edge} "top", {text} what a sign says, {pic} "picture" or "image", {colour} "colour" or "color". Apostrophes and
contractions are avoided so that words stay plain tokens.
"""

from moai.data.drawn.questions.wordings import multi_hop, places, relations, signs, surfaces, things, whole
from moai.data.drawn.questions.wordings.frames import BEFORE, BEHIND, framed
from moai.data.drawn.questions.wordings.multi_hop import SIGN_BESIDE, SIGN_TOWARDS, THING_BESIDE, THING_OF
from moai.data.drawn.questions.wordings.places import DIRECTIONS
from moai.data.drawn.questions.wordings.signs import SIGN_AT, SIGN_COLOURED, SIGN_SAYING
from moai.data.drawn.questions.wordings.whole import CHOICE_SUFFIX
from moai.data.drawn.questions.wordings.wording import SPLITS, Wording

__all__ = [
    "BEFORE", "BEHIND", "CHOICE_SUFFIX", "COLOUR", "DIRECTIONS", "FORMS", "KIND_FORMS", "PARTS", "PICTURE", "SIGN_AT",
    "SIGN_BESIDE", "SIGN_COLOURED", "SIGN_SAYING", "SIGN_TOWARDS", "SPLITS", "THING_BESIDE", "THING_OF", "Wording",
]  # fmt: skip

PICTURE = ("picture", "image")
COLOUR = ("colour", "color")

FORMS: dict[str, Wording] = {
    form: wording._replace(varied=framed(form))
    for one in (things, surfaces, places, signs, relations, multi_hop, whole)
    for form, wording in one.FORMS.items()
}
PARTS = (
    *DIRECTIONS.values(), *SIGN_AT.values(), SIGN_SAYING, SIGN_COLOURED, SIGN_BESIDE, SIGN_TOWARDS, THING_BESIDE,
    THING_OF, CHOICE_SUFFIX,
)  # fmt: skip
"""Wordings of parts of questions."""

KIND_FORMS = {
    "existence": ("existence",),
    "count": ("count", "count yes/no"),
    "surface": ("surface", "surface yes/no"),
    "position": ("relative yes/no", "relative", "region"),
    "colour": ("colour", "colour yes/no"),
    "reading": ("reading", "all text", "reading yes/no"),
    "relation": ("relation object", "relation subject", "relation predicate", "relation yes/no"),
    "choice": ("choice",),
    "description": ("description", "long description"),
    "two_step": ("count on a side", "thing on a side", "class yes/no"),
}
"""The forms of each kind. Multiple-choice and multi-hop questions may also take the forms of other kinds."""
