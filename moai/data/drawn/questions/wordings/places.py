"""Wordings of questions about where things are."""

from moai.data.drawn.questions.wordings.wording import Wording

DIRECTIONS = {
    "left": Wording(
        ("left of", "to the left of"),
        ("on the left side of",),
        ("at the left of", "on the left of", "further left than", "more to the left than", "left from"),
    ),
    "right": Wording(
        ("right of", "to the right of"),
        ("on the right side of",),
        ("at the right of", "on the right of", "further right than", "more to the right than", "right from"),
    ),
    "above": Wording(
        ("above", "higher up than"),
        ("higher than",),
        ("further up than", "nearer to the top than", "up from", "up above", "over and above"),
    ),
    "below": Wording(
        ("below", "lower down than"),
        ("lower than",),
        ("further down than", "nearer to the bottom than", "down from", "down below", "under and below"),
    ),
}

FORMS = {
    "relative yes/no": Wording(
        (
            "Is the {x} {dir} the {y}?",
            "Is the {x} {dir} the {y} in the {pic}?",
            "In the {pic}, is the {x} {dir} the {y}?",
            "Is the {x} {dir} the {y}? Answer yes or no.",
            "Is the {x} {dir} the {y}? Please answer yes or no.",
            "Do you see the {x} {dir} the {y}?",
            "Can you see the {x} {dir} the {y}?",
            "Is it true that the {x} is {dir} the {y}?",
            "The {x} is {dir} the {y}. Is that true?",
            "The {x} is {dir} the {y}. Is that right?",
            "Look at the {x} and the {y}. Is the {x} {dir} the {y}?",
            "Does the {pic} show the {x} {dir} the {y}?",
            "Is the {x} shown {dir} the {y}?",
            "Is the place of the {x} {dir} the {y}?",
            "Look at the {pic}. Is the {x} {dir} the {y}?",
        ),
        (
            "Would you say that the {x} is {dir} the {y}?",
            "Yes or no: the {x} is {dir} the {y}.",
            "Can the {x} be found {dir} the {y}?",
            "Does the {x} appear {dir} the {y}?",
        ),
    ),
    "relative": Wording(
        (
            "Where is the {x} compared with the {y}?",
            "Where is the {x} compared to the {y}?",
            "Where is the {x} relative to the {y}?",
            "Where is the {x}, seen from the {y}?",
            "On which side of the {y} is the {x}?",
            "On what side of the {y} is the {x}?",
            "In which direction from the {y} is the {x}?",
            "In the {pic}, where is the {x} compared with the {y}?",
            "In the {pic}, on which side of the {y} is the {x}?",
            "Is the {x} left, right, above or below the {y}?",
            "Is the {x} left of, right of, above or below the {y}?",
            "Look at the {y}. Where is the {x} compared with it?",
            "Left, right, above or below: where is the {x} compared with the {y}?",
            "What is the position of the {x} relative to the {y}?",
            "What is the place of the {x} compared with the {y}?",
        ),
        (
            "Where does the {x} stand with respect to the {y}?",
            "Where would you look for the {x}, starting from the {y}?",
            "Tell me where the {x} is relative to the {y}.",
            "Which side of the {y} is the {x} on?",
        ),
    ),
    "region": Wording(
        (
            "Where in the {pic} is the {x}?",
            "Where is the {x}?",
            "Where is the {x} in the {pic}?",
            "Where in this {pic} do you see the {x}?",
            "Where can you see the {x}?",
            "In which part of the {pic} is the {x}?",
            "In what part of the {pic} is the {x}?",
            "Which part of the {pic} shows the {x}?",
            "Which part of the {pic} has the {x}?",
            "What part of this {pic} is the {x} in?",
            "In which region of the {pic} is the {x}?",
            "Find the {x}. Where in the {pic} is it?",
            "Look for the {x}. Where is it?",
            "What is the position of the {x} in the {pic}?",
            "What is the place of the {x} in this {pic}?",
            "Tell me where the {x} is.",
            "Point to the {x}. Where is it?",
            "Where has the {x} been put?",
            "Where can one see the {x} in this {pic}?",
        ),
        (
            "Whereabouts in the {pic} is the {x}?",
            "In which area of this {pic} can you find the {x}?",
            "Where does the {x} appear in the {pic}?",
            "Give the position of the {x}.",
        ),
    ),
}
