"""Wordings of questions about signs, and how a sign is named."""

from synth.wordings.wording import Wording

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

FORMS = {
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
    "colour yes/no": Wording(
        (
            "Is {sign} {hue}?",
            "Is {sign} {hue} in the {pic}?",
            "In the {pic}, is {sign} {hue}?",
            "Is {sign} {hue}? Answer yes or no.",
            "Is {sign} {hue}? Please answer yes or no.",
            "Is the {colour} of {sign} {hue}?",
            "Is {sign} painted {hue}?",
            "Is {hue} the {colour} of {sign}?",
            "Look at {sign}. Is it {hue}?",
            "Look at {sign}. Is its {colour} {hue}?",
            "Is it true that {sign} is {hue}?",
            "Does {sign} have a {hue} background?",
            "Is the background of {sign} {hue}?",
            "Do you see that {sign} is {hue}?",
            "Can you see if {sign} is {hue}?",
            "Find {sign}. Is it {hue}?",
        ),
        (
            "Would you say that {sign} is {hue}?",
            "Yes or no: {sign} is {hue}.",
            "Would you call {sign} {hue}?",
            "Was {hue} used for {sign}?",
        ),
    ),
    "reading yes/no": Wording(
        (
            "Does {sign} say {text}?",
            "Does {sign} say {text} in the {pic}?",
            "In the {pic}, does {sign} say {text}?",
            "Does {sign} say {text}? Answer yes or no.",
            "Does {sign} say {text}? Please answer yes or no.",
            "Does {sign} read {text}?",
            "Does {sign} show the text {text}?",
            "Is {text} written on {sign}?",
            "Is the text on {sign} {text}?",
            "Is {text} the text on {sign}?",
            "Can you read {text} on {sign}?",
            "Do you read {text} on {sign}?",
            "Look at {sign}. Does it say {text}?",
            "Read {sign}. Does it say {text}?",
            "Is it true that {sign} says {text}?",
            "Do you see {text} on {sign}?",
        ),
        (
            "Would you say that {sign} says {text}?",
            "Yes or no: {sign} says {text}.",
            "Has {text} been written on {sign}?",
            "Can {text} be read on {sign}?",
        ),
    ),
}
