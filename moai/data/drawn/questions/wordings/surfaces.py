"""Wordings of questions about what the background is made of; {edge} is "top" or "bottom"."""

from moai.data.drawn.questions.wordings.wording import Wording

FORMS = {
    "surface": Wording(
        (
            "What covers the {edge} of the {pic}?",
            "What covers the {edge} of this {pic}?",
            "What is the {edge} of the {pic} covered with?",
            "What is the {edge} of the {pic} made of?",
            "What is the background at the {edge}?",
            "What is the background at the {edge} of the {pic}?",
            "What runs along the {edge} of the {pic}?",
            "What runs along the {edge}?",
            "What fills the {edge} of the {pic}?",
            "What surface is at the {edge} of the {pic}?",
            "What surface is at the {edge}?",
            "What do you see along the {edge} of the {pic}?",
            "Which surface is at the {edge}?",
            "Look at the {edge} of the {pic}. What covers it?",
            "Things aside, what is at the {edge} of the {pic}?",
            "Behind all things, what is at the {edge}?",
        ),
        (
            "What kind of surface is there at the {edge} of this {pic}?",
            "Name the surface along the {edge}.",
            "At the {edge} of the {pic}, what is the background made of?",
            "What does the background at the {edge} consist of?",
        ),
    ),
    "surface yes/no": Wording(
        (
            "Is there {a} at the {edge} of the {pic}?",
            "Is there {a} at the {edge}?",
            "Is there {a} along the {edge} of the {pic}?",
            "Is there {a} along the {edge}?",
            "Do you see {a} at the {edge} of the {pic}?",
            "Can you see {a} at the {edge}?",
            "Does the {pic} have {a} at the {edge}?",
            "Does the {pic} show {a} along the {edge}?",
            "Does {a} cover the {edge} of the {pic}?",
            "Does {a} run along the {edge}?",
            "Is the background at the {edge} {a}?",
            "Look at the {edge} of the {pic}. Is there {a}?",
            "Is there {a} at the {edge} of the {pic}? Answer yes or no.",
        ),
        (
            "Would you say that there is {a} at the {edge} of the {pic}?",
            "Yes or no: is there {a} along the {edge}?",
            "Can {a} be seen at the {edge} of this {pic}?",
            "Do you find {a} along the {edge} of the {pic}?",
        ),
    ),
}
