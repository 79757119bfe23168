"""The wordings of questions: for every form of question the templates of training and those held out of it.

Slots are bare nouns unless said otherwise: {a} noun with its article ("a dog", "any grass"), {plural} "dogs",
{x} and {y} "dog", {s} subject, {o} object, {sign} "the red sign", {p} predicate, {dir} "left of", {pic} "picture" or
"image", {colour} "colour" or "color". Apostrophes and contractions are avoided so that words stay plain tokens.
"""

from typing import NamedTuple


class Wording(NamedTuple):
    """Templates of one form of question; the two tuples share none."""

    train: tuple[str, ...]
    heldout: tuple[str, ...]

    def of(self, split: str) -> tuple[str, ...]:
        """`split` is "train" or "heldout", else ValueError."""
        if split not in ("train", "heldout"):
            raise ValueError(f"wording must be 'train' or 'heldout', got {split!r}")
        return self.train if split == "train" else self.heldout


PICTURE = ("picture", "image")
COLOUR = ("colour", "color")

DIRECTIONS = {
    "left": Wording(("left of", "to the left of"), ("on the left side of",)),
    "right": Wording(("right of", "to the right of"), ("on the right side of",)),
    "above": Wording(("above", "higher up than"), ("higher than",)),
    "below": Wording(("below", "lower down than"), ("lower than",)),
}

FORMS = {
    "existence": Wording(
        (
            "Is there {a}?",
            "Is there {a} in the {pic}?",
            "Is there {a} in this {pic}?",
            "Is there {a} here?",
            "Do you see {a}?",
            "Do you see {a} in the {pic}?",
            "Can you see {a}?",
            "Can you see {a} in this {pic}?",
            "Does the {pic} show {a}?",
            "Does this {pic} have {a} in it?",
            "Does the {pic} contain {a}?",
            "Is {a} visible?",
            "Is {a} visible in the {pic}?",
            "Is {a} shown in the {pic}?",
            "Is there {a} in the {pic}? Answer yes or no.",
            "Is there {a} in this {pic}? Please answer yes or no.",
            "Look at the {pic}. Is there {a}?",
            "I am looking for {a}. Can you see it?",
        ),
        (
            "Would you say that there is {a} in the {pic}?",
            "Does {a} appear in this {pic}?",
            "Can {a} be seen here?",
            "Do you find {a} anywhere in the {pic}?",
            "Yes or no: is there {a} in the {pic}?",
        ),
    ),
    "count": Wording(
        (
            "How many {plural} are there?",
            "How many {plural} are there in the {pic}?",
            "How many {plural} are in this {pic}?",
            "How many {plural} do you see?",
            "How many {plural} can you see?",
            "How many {plural} can you see in the {pic}?",
            "How many {plural} does the {pic} show?",
            "How many {plural} are visible?",
            "How many {plural} are shown?",
            "Count the {plural}.",
            "Count the {plural} in the {pic}.",
            "Please count the {plural}.",
            "What is the number of {plural}?",
            "What is the number of {plural} in the {pic}?",
            "Tell me how many {plural} there are.",
            "Look at the {pic}. How many {plural} are there?",
        ),
        (
            "How many {plural} appear in the {pic}?",
            "Give the number of {plural} in this {pic}.",
            "Can you tell how many {plural} are here?",
            "How many {plural} can be seen?",
        ),
    ),
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
        ),
        (
            "Whereabouts in the {pic} is the {x}?",
            "In which area of this {pic} can you find the {x}?",
            "Where does the {x} appear in the {pic}?",
            "Give the position of the {x}.",
        ),
    ),
    "colour": Wording(
        (
            "What {colour} is {sign}?",
            "Which {colour} is {sign}?",
            "What {colour} is {sign} in the {pic}?",
            "What is the {colour} of {sign}?",
            "What is the {colour} of {sign} in the {pic}?",
            "Which {colour} does {sign} have?",
            "What {colour} does {sign} have?",
            "What {colour} do you see on {sign}?",
            "In which {colour} is {sign} painted?",
            "What {colour} is {sign} painted in?",
            "In the {pic}, what {colour} is {sign}?",
            "Look at {sign}. What {colour} is it?",
            "Look at {sign}. Which {colour} is it?",
            "Name the {colour} of {sign}.",
            "Tell me the {colour} of {sign}.",
            "What is the background {colour} of {sign}?",
        ),
        (
            "Can you tell which {colour} {sign} is?",
            "Give the {colour} of {sign}.",
            "What {colour} would you say {sign} is?",
            "Which {colour} was used for {sign}?",
        ),
    ),
    "reading": Wording(
        (
            "What does {sign} say?",
            "What does {sign} say in the {pic}?",
            "What is written on {sign}?",
            "What is written on {sign} in the {pic}?",
            "What is on {sign}?",
            "What text is on {sign}?",
            "What text do you see on {sign}?",
            "What can you read on {sign}?",
            "What do you read on {sign}?",
            "Which text does {sign} show?",
            "What does {sign} read?",
            "What does the text on {sign} say?",
            "What is the text on {sign}?",
            "Read {sign}.",
            "Read the text on {sign}.",
            "Please read {sign}.",
            "Look at {sign}. What does it say?",
            "Tell me what {sign} says.",
        ),
        (
            "Can you tell me what is written on {sign}?",
            "What has been written on {sign}?",
            "What words or numbers are on {sign}?",
            "Give the text of {sign}.",
        ),
    ),
    "relation object": Wording(
        (
            "What is the {s} {p}?",
            "What is the {s} {p} in the {pic}?",
            "In the {pic}, what is the {s} {p}?",
            "The {s} is {p} what?",
            "The {s} is {p} something. What is it?",
            "What do you see the {s} {p}?",
            "What thing is the {s} {p}?",
            "Name the thing that the {s} is {p}.",
            "Tell me what the {s} is {p}.",
        ),
        ("What is it that the {s} is {p}?", "Can you tell what the {s} is {p}?", "Which thing is the {s} {p}?"),
    ),
    "relation subject": Wording(
        (
            "What is {p} the {o}?",
            "What is {p} the {o} in the {pic}?",
            "What do you see {p} the {o}?",
            "What thing is {p} the {o}?",
            "Something is {p} the {o}. What is it?",
            "Name the thing that is {p} the {o}.",
            "Tell me what is {p} the {o}.",
        ),
        ("What is it that is {p} the {o}?", "Can you tell what is {p} the {o}?", "Which thing is {p} the {o}?"),
    ),
    "relation predicate": Wording(
        (
            "What is the relation between the {s} and the {o}?",
            "What is the relation of the {s} to the {o}?",
            "How is the {s} related to the {o}?",
            "In the {pic}, how is the {s} related to the {o}?",
            "How are the {s} and the {o} related?",
            "What does the {s} have to do with the {o}?",
            "Which relation do the {s} and the {o} have?",
            "Name the relation of the {s} to the {o}.",
        ),
        (
            "What relation does the {s} have to the {o}?",
            "Which words tell how the {s} relates to the {o}?",
            "Give the relation between the {s} and the {o}.",
        ),
    ),
    "relation yes/no": Wording(
        (
            "Is the {s} {p} the {o}?",
            "Is the {s} {p} the {o} in the {pic}?",
            "In the {pic}, is the {s} {p} the {o}?",
            "Is the {s} {p} the {o}? Answer yes or no.",
            "Is the {s} {p} the {o}? Please answer yes or no.",
            "Do you see the {s} {p} the {o}?",
            "Can you see the {s} {p} the {o}?",
            "Is it true that the {s} is {p} the {o}?",
            "The {s} is {p} the {o}. Is that true?",
            "The {s} is {p} the {o}. Is that right?",
            "Does the {pic} show the {s} {p} the {o}?",
            "Look at the {s}. Is it {p} the {o}?",
        ),
        (
            "Would you say that the {s} is {p} the {o}?",
            "Yes or no: the {s} is {p} the {o}.",
            "Can the {s} be seen {p} the {o}?",
        ),
    ),
    "choice": Wording(
        (
            "Which of these is in the {pic}?",
            "Which of these is in this {pic}?",
            "Which of these do you see?",
            "Which of these do you see in the {pic}?",
            "Which of these can you see?",
            "Which one of these is in the {pic}?",
            "Which one of these is shown?",
            "Which thing is in the {pic}?",
            "Which thing do you see in the {pic}?",
            "Which thing does the {pic} show?",
            "Which of these does the {pic} show?",
            "Which of these things is visible?",
            "What can you see in the {pic}?",
            "What is in the {pic}?",
            "What is shown in this {pic}?",
            "Look at the {pic}. Which of these is there?",
        ),
        (
            "Which of the following appears in the {pic}?",
            "Which of the following can be found here?",
            "One of these is in the {pic}. Which one?",
            "Which option names something in the {pic}?",
        ),
    ),
    "description": Wording(
        (
            "Describe the {pic} in one sentence.",
            "Describe this {pic} in one sentence.",
            "Describe the {pic}.",
            "Describe this {pic}.",
            "Please describe the {pic}.",
            "What does the {pic} show?",
            "What is shown in the {pic}?",
            "What do you see?",
            "What do you see in the {pic}?",
            "What can you see in this {pic}?",
            "What is in the {pic}?",
            "Tell me what is in the {pic}.",
            "Tell me what you see.",
            "Say in one sentence what the {pic} shows.",
            "Give a short description of the {pic}.",
            "Write one sentence about this {pic}.",
        ),
        (
            "Can you describe what is in this {pic}?",
            "Sum up the {pic} in one sentence.",
            "What would you say this {pic} shows?",
            "Write a caption for the {pic}.",
        ),
    ),
}

KIND_FORMS = {
    "existence": ("existence",),
    "count": ("count",),
    "position": ("relative yes/no", "relative", "region"),
    "colour": ("colour",),
    "reading": ("reading",),
    "relation": ("relation object", "relation subject", "relation predicate", "relation yes/no"),
    "choice": ("choice",),
    "description": ("description",),
}
"""The forms of each kind. A multiple-choice question may also take the form of any other kind it is about."""

SIGN_SAYING = Wording(
    ("the sign that says {text}", "the sign saying {text}", "the sign with the text {text}"),
    ("the sign that reads {text}",),
)
SIGN_AT = {
    "left": Wording(("the sign on the left", "the left sign"), ("the sign on the left side",)),
    "right": Wording(("the sign on the right", "the right sign"), ("the sign on the right side",)),
    "top": Wording(("the sign at the top", "the top sign"), ("the upper sign",)),
    "bottom": Wording(("the sign at the bottom", "the bottom sign"), ("the lower sign",)),
}
SIGN_COLOURED = Wording(("the {hue} sign",), ("the sign in {hue}",))

CHOICE_SUFFIX = Wording(
    ("", "", "", "\nAnswer with the letter.", "\nChoose one.", "\nGive the letter only.", "\nAnswer with one letter."),
    ("", "\nReply with the letter of the right option."),
)
