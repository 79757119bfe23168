"""Questions about what is not there; the answer says so, as for drawn scenes: "There is no elephant." """

from moai.data.draws import pick
from moai.data.nouns import singular_noun
from moai.data.photographs.asking import Asking, Turn
from moai.data.photographs.questions.reading import TEXT

ABOUT = (
    "What color is the {x}?", "What colour is the {x}?", "Where is the {x}?", "What is the {x} doing?",
    "Where in the {pic} is the {x}?", "What is next to the {x}?", "Is the {x} on the left or on the right?",
    "How big is the {x}?", "What is the {x} made of?", "Describe the {x}.", "What is on top of the {x}?",
    "Why is the {x} in the {pic}?", "Who is holding the {x}?", "What is to the left of the {x}?",
    "What is behind the {x}?",
)  # fmt: skip
PAIRS = ("Is the {x} left or right of the {y}?", "Where is the {x} relative to the {y}?", "Is the {x} above the {y}?",
         "Which is larger, the {x} or the {y}?")  # fmt: skip
SIGN = ("What does the sign say?", "Read the sign.", "What is written on the sign?", "Which words are on the sign?")
PLATE = ("What does the number plate say?", "What is the license plate number?")
_HINTS = ("sign", "word", "letter", "text", "writ", "say", "read", "number", "logo", "poster", "banner", "label",
          "book",
          "clock", "jersey", "shop", "store", "name", "print", "street", "paper", "screen")  # fmt: skip
_VEHICLES = frozenset(["car", "truck", "bus", "motorcycle", "train"])


def thing(asking: Asking) -> Turn | None:
    """About a thing that is not there, perhaps beside one that is."""
    if (label := asking.absent()) is None:
        return None
    noun = singular_noun(label)
    if asking.singles and asking.coin(0.25):
        pair = [noun, singular_noun(pick(asking.rng, asking.singles).label)]
        x, y = pair if asking.coin() else reversed(pair)
        return asking.say(PAIRS, x=x, y=y), f"There is no {noun}."
    return asking.say(ABOUT, x=noun), f"There is no {noun}."


def text(asking: Asking) -> Turn | None:
    """About text where experts read none, and no caption hints at any."""
    photograph, scene = asking.photograph, asking.scene
    if scene is None or scene.text_lines or photograph.text_lines or not photograph.captions:
        return None
    if any(hint in caption.lower() for caption in photograph.captions for hint in _HINTS):
        return None
    draw = asking.rng.random()
    if draw < 0.5:
        return asking.say(TEXT), "There is no text."
    if draw < 0.9 and "stop sign" not in asking.there:
        return asking.say(SIGN), "There is no sign."
    vehicle = asking.maybe & _VEHICLES
    return None if vehicle else (asking.say(PLATE), "There is no number plate.")
