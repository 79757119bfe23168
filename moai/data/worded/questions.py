"""Questions about texts of made-up scenes, beside those that photographs are asked."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from moai.data.draws import pick
from moai.data.photographs.asking import Asking, Turn, squeezed, yes
from moai.data.photographs.makers import MAKERS
from moai.data.photographs.questions import reading, unanswerable
from moai.data.worded.texts import text

Maker = Callable[[Asking], Turn | None]
SHOWN = 60
"""Letters of an answer at most: longer texts are not asked for as a whole."""
_ABOUT = {
    "street": ("What is the name of the street?", "Which street is this?", "What does the street sign say?"),
    "shop": ("What is the name of the shop?", "What does the shop sign say?", "Which shop is this?"),
    "notice": ("What does the sign say?", "What is written on the sign?", "Read the sign."),
    "phone": ("What is the phone number?", "Which phone number is shown?", "What number can I call?"),
    "web": ("What is the web address?", "Which website is shown?", "What is the URL?"),
    "price": ("What is the price?", "Which price is shown?", "What does the price tag say?"),
    "time": ("What time is shown?", "What time does it say?", "Which time can be read?"),
    "number": ("What number is shown?", "Which number can be seen?", "What is the number?"),
}
_LINE = {
    0: ("What does the first line say?", "What is the first line of text?", "Read the first line."),
    1: ("What does the second line say?", "What is the second line?"),
    -1: ("What does the last line say?", "What is the last line of text?", "Read the last line."),
}
_BEGINS = (
    "What does the line that begins with {w} say?",
    "Which text begins with {w}?",
    "Read the line that starts with {w}.",
)
_AFTER = ("What comes after {w}?", "Which line follows {w}?", "What is written below {w}?")
_WRITTEN = (
    'Is "{t}" written in the {pic}?',
    "Does it say {t}?",
    'Does the {pic} contain the text "{t}"?',
    "Can you read {t} here?",
)
_HOW_MANY = ("How many lines of text are there?", "How many pieces of text can be read?")


def makers(sort: str, kinds: Mapping[str, str]) -> dict[str, tuple[Maker, float]]:
    """What scenes of a sort are asked, with weights; `kinds` says what each text on signs is."""
    things = {name: MAKERS[name] for name in _OF_THINGS}
    if sort == "receipt":
        return {
            "field": (reading.field, 5.0),
            "row": (reading.row, 1.5),
            "line": (line, 0.8),
            "written": (written, 0.5),
        }
    if sort == "plate":
        return {"plate": (reading.plate, 3.0), "existence": MAKERS["existence"], "counting": MAKERS["counting"]}
    if sort == "nothing":
        return {name: MAKERS[name] for name in ("existence", "counting", "missing thing")} | {"no text": (no_text, 1.0)}
    if sort == "things":
        return things | {"no text": (no_text, 0.3)}
    texts: dict[str, tuple[Maker, float]] = {
        "about": (partial(about, kinds=kinds), 3.0), "all": (everything, 1.5), "line": (line, 1.5),
        "written": (written, 1.0), "how many": (how_many, 0.2),
    }  # fmt: skip
    return texts if sort == "texts" else texts | {name: (make, weight / 2) for name, (make, weight) in things.items()}


_OF_THINGS = ("existence", "counting", "relative", "place", "beside", "larger", "objects", "choice", "missing thing")


def about(asking: Asking, kinds: Mapping[str, str]) -> Turn | None:
    """A text by what it is, where it is the only one of its kind."""
    names = list(kinds.values())
    once = [(said, what) for said, what in kinds.items() if names.count(what) == 1]
    # A shop, street or notice is a sign to anybody.
    signs = sum(what in ("street", "shop", "notice") for what in names)
    once = [(said, what) for said, what in once if what != "notice" or signs == 1]
    if not once:
        return None
    said, what = pick(asking.rng, once)
    return asking.say(_ABOUT[what]), said


def everything(asking: Asking) -> Turn | None:
    """All texts in order."""
    said = ", ".join(one.text for one in asking.photograph.text_lines)
    return (asking.say(reading.TEXT), said) if 0 < len(said) <= SHOWN else None


def line(asking: Asking) -> Turn | None:
    """A line by its place, by how it begins, or by the one before it."""
    lines = [one.text for one in asking.photograph.text_lines]
    if len(lines) < 2:
        return None
    draw = asking.rng.random()
    if draw < 0.4:
        place = pick(asking.rng, tuple(_LINE))
        return asking.say(_LINE[place]), lines[place]
    at = int(asking.rng.random() * (len(lines) - 1))
    if draw < 0.7:
        first = lines[at].split()[0]
        alone = sum(one.startswith(first) for one in lines) == 1 and first != lines[at]
        return (asking.say(_BEGINS, w=first), lines[at]) if alone else None
    return (asking.say(_AFTER, w=lines[at]), lines[at + 1]) if lines.count(lines[at]) == 1 else None


def written(asking: Asking) -> Turn | None:
    """Whether a text is there; one that is not is another of its sort, or one with a letter changed."""
    lines = [one.text for one in asking.photograph.text_lines]
    if not lines:
        return None
    right = pick(asking.rng, lines)
    if asking.coin():
        return asking.say(_WRITTEN, t=right), yes(True)
    wrong = _changed(right, asking.rng) if asking.coin() else text(asking.rng)[1]
    if any(squeezed(wrong) in squeezed(one) or squeezed(one) in squeezed(wrong) for one in lines):
        return None
    return asking.say(_WRITTEN, t=wrong), yes(False)


def how_many(asking: Asking) -> Turn | None:
    """How many lines there are."""
    return asking.say(_HOW_MANY), str(len(asking.photograph.text_lines))


def no_text(asking: Asking) -> Turn | None:
    """About text where there is none."""
    sort = pick(asking.rng, ((reading.TEXT, "text"), (reading.TEXT, "text"), (unanswerable.SIGN, "sign"),
                             (unanswerable.PLATE, "number plate")))  # fmt: skip
    if "sign" in " ".join(asking.maybe) or asking.photograph.text_lines:
        return None
    return asking.say(sort[0]), f"There is no {sort[1]}."


def _changed(said: str, rng: np.random.Generator) -> str:
    at = int(rng.random() * len(said))
    return said[:at] + pick(rng, "ABCDEFGHKLMNPRSTUW23456789") + said[at + 1 :]
