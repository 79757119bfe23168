"""Ways to put a question that many forms share: around a statement, around an indirect question, before and behind.

They are for training alone. `STATEMENTS` and `CLAUSES` hold what goes into a frame, form by form, with the form's
slots.
"""

STATEMENT_FRAMES = (
    "Do you think that {c}?",
    "Do you agree that {c}?",
    "Can you confirm that {c}?",
    "Is it correct that {c}?",
    "Is it right that {c}?",
    "Is it so that {c}?",
    "Is it the case that {c}?",
    "Could it be that {c}?",
    "Would it be right to say that {c}?",
    "Tell me if {c}.",
    "Please tell me if {c}.",
    "Say if {c}.",
    "Can you say if {c}?",
    "Could you check if {c}?",
    "Please check if {c}.",
    "Can you see that {c}?",
    "I would like to know if {c}.",
    "Let me know if {c}.",
    "I wonder if {c}.",
    "I think that {c}. Am I right?",
    "I think that {c}. Is that so?",
    "Someone says that {c}. Is that true?",
    "It looks as if {c}. Is that right?",
    "True or not: {c}.",
    "Is this true: {c}?",
)
CLAUSE_FRAMES = (
    "Please tell me {c}.",
    "Do you know {c}?",
    "I would like to know {c}.",
    "I want to know {c}.",
    "Let me know {c}.",
    "Say {c}.",
    "Please say {c}.",
    "Can you say {c}?",
    "Could you say {c}?",
    "Are you able to say {c}?",
    "Do you see {c}?",
    "Can you see {c}?",
    "Can you find out {c}?",
    "Find out {c}.",
    "Could you find out {c}?",
    "I wonder {c}.",
    "Would you let me know {c}?",
    "Try to say {c}.",
    "Look at the {pic} and say {c}.",
    "My question is {c}.",
)
STATEMENTS = {
    "existence": (
        "there is {a}",
        "there is {a} here",
        "there is {a} in the {pic}",
        "the {pic} shows {a}",
        "you can see {a}",
        "this {pic} has {a} in it",
    ),
    "count yes/no": (
        "there {are} {only}",
        "there {are} {only} here",
        "there {are} exactly {some} in the {pic}",
        "the {pic} shows exactly {some}",
        "the number of {plural} is {number}",
        "you see exactly {some}",
    ),
    "relative yes/no": (
        "the {x} is {dir} the {y}",
        "the {x} is {dir} the {y} in the {pic}",
        "the {pic} shows the {x} {dir} the {y}",
        "you see the {x} {dir} the {y}",
    ),
    "colour yes/no": (
        "{sign} is {hue}",
        "the {colour} of {sign} is {hue}",
        "{sign} has a {hue} background",
        "{sign} is painted {hue}",
    ),
    "reading yes/no": (
        "{sign} says {text}",
        "{text} is written on {sign}",
        "the text on {sign} is {text}",
        "{sign} shows the text {text}",
        "you can read {text} on {sign}",
    ),
    "relation yes/no": (
        "the {s} is {p} the {o}",
        "the {s} is {p} the {o} in the {pic}",
        "the {pic} shows the {s} {p} the {o}",
        "you see the {s} {p} the {o}",
    ),
    "class yes/no": (
        "the {x} is {a}",
        "the {x} is {a} in the {pic}",
        "the {pic} shows that the {x} is {a}",
    ),
}
CLAUSES = {
    "count": (
        "how many {plural} there are",
        "how many {plural} there are in the {pic}",
        "how many {plural} can be counted",
        "how many {plural} the {pic} shows",
        "how many {plural} are shown",
        "the number of {plural}",
        "what the number of {plural} is",
    ),
    "relative": (
        "where the {x} is compared with the {y}",
        "where the {x} is, seen from the {y}",
        "on which side of the {y} the {x} is",
        "in which direction from the {y} the {x} is",
        "what the position of the {x} relative to the {y} is",
    ),
    "region": (
        "where the {x} is",
        "where in the {pic} the {x} is",
        "in which part of the {pic} the {x} is",
        "which part of the {pic} has the {x}",
        "the position of the {x}",
        "where you see the {x}",
    ),
    "colour": (
        "what {colour} {sign} is",
        "which {colour} {sign} is",
        "which {colour} {sign} has",
        "the {colour} of {sign}",
        "what {colour} {sign} is painted in",
    ),
    "reading": (
        "what {sign} says",
        "what is written on {sign}",
        "what you read on {sign}",
        "which text is on {sign}",
        "the text on {sign}",
        "which words are on {sign}",
    ),
    "all text": (
        "what text is in the {pic}",
        "what is written in the {pic}",
        "what you read in the {pic}",
        "the text in the {pic}",
    ),
    "relation object": ("what the {s} is {p}", "what thing the {s} is {p}", "what the {s} is {p} in the {pic}"),
    "relation subject": ("what is {p} the {o}", "what thing is {p} the {o}", "what you see {p} the {o}"),
    "relation predicate": (
        "how the {s} is related to the {o}",
        "what the relation between the {s} and the {o} is",
        "how the {s} and the {o} are related",
        "the relation of the {s} to the {o}",
    ),
    "count on a side": (
        "how many {plural} are {dir} the {y}",
        "how many {plural} there are {dir} the {y}",
        "how many {plural} can be counted {dir} the {y}",
        "the number of {plural} {dir} the {y}",
    ),
    "thing on a side": ("what is {dir} the {y}", "what you see {dir} the {y}", "what thing is {dir} the {y}"),
    "choice": ("which of these is in the {pic}", "which of these you see", "which one of these is shown"),
    "description": ("in one sentence what the {pic} shows", "in one sentence what there is"),
    "long description": ("what there is in the {pic}", "what is going on in this {pic}", "all that is in this {pic}"),
}
BEFORE = (
    "Hello. ", "Next question. ", "Here is a question. ", "Please answer this. ", "Look carefully. ",
    "One more thing. ", "Have a look at this {pic}. ", "Take a look. ", "This is the {pic}. ",
)  # fmt: skip
BEHIND = (" Please answer.", " Thank you.", " Be quick.", " What do you think?", " Look carefully.")


def framed(form: str) -> tuple[str, ...]:
    """All templates that frames make for a form; none for a form that has nothing to go into one."""
    statements = [frame.replace("{c}", one) for one in STATEMENTS.get(form, ()) for frame in STATEMENT_FRAMES]
    return (*statements, *(frame.replace("{c}", one) for one in CLAUSES.get(form, ()) for frame in CLAUSE_FRAMES))
