"""Wordings of questions that find one thing by way of another, and how such a thing is named."""

from moai.data.drawn.questions.wordings.wording import Wording

SIGN_BESIDE = Wording(
    ("the sign next to the {y}", "the sign beside the {y}", "the sign near the {y}", "the sign by the {y}"),
    ("the sign close to the {y}", "the sign right beside the {y}"),
    ("the sign that is next to the {y}", "the sign nearest the {y}", "the sign close by the {y}"),
)
SIGN_TOWARDS = Wording(
    ("the sign {dir} the {y}", "the sign that is {dir} the {y}"),
    ("the sign found {dir} the {y}",),
    ("the sign which is {dir} the {y}", "the sign seen {dir} the {y}"),
)
THING_BESIDE = Wording(
    ("thing next to the {y}", "thing beside the {y}", "thing near the {y}", "thing closest to the {y}"),
    ("thing close to the {y}", "thing nearest to the {y}"),
    ("thing right next to the {y}", "thing that is beside the {y}", "thing close by the {y}"),
)
THING_OF = Wording(
    ("thing the {s} is {p}", "thing that the {s} is {p}", "thing which the {s} is {p}"),
    ("object the {s} is {p}", "object that the {s} is {p}"),
    ("item the {s} is {p}", "item which the {s} is {p}", "one object that you see the {s} {p}"),
)

FORMS = {
    "count on a side": Wording(
        (
            "How many {plural} are {dir} the {y}?",
            "How many {plural} are there {dir} the {y}?",
            "How many {plural} are {dir} the {y} in the {pic}?",
            "In the {pic}, how many {plural} are {dir} the {y}?",
            "How many {plural} do you see {dir} the {y}?",
            "How many {plural} can you see {dir} the {y}?",
            "How many {plural} does the {pic} show {dir} the {y}?",
            "How many {plural} are shown {dir} the {y}?",
            "Count the {plural} {dir} the {y}.",
            "Count the {plural} that are {dir} the {y}.",
            "Please count the {plural} {dir} the {y}.",
            "What is the number of {plural} {dir} the {y}?",
            "Tell me how many {plural} are {dir} the {y}.",
            "Find the {y}. How many {plural} are {dir} it?",
            "Look at the {y}. How many {plural} are {dir} it?",
        ),
        (
            "How many {plural} can be seen {dir} the {y}?",
            "Give the number of {plural} {dir} the {y}.",
            "Starting from the {y}, how many {plural} are {dir} it?",
            "How many {plural} appear {dir} the {y}?",
        ),
    ),
    "thing on a side": Wording(
        (
            "What is {dir} the {y}?",
            "What is {dir} the {y} in the {pic}?",
            "In the {pic}, what is {dir} the {y}?",
            "What do you see {dir} the {y}?",
            "What can you see {dir} the {y}?",
            "What is shown {dir} the {y}?",
            "What does the {pic} show {dir} the {y}?",
            "What thing is {dir} the {y}?",
            "Which thing do you see {dir} the {y}?",
            "Name the thing {dir} the {y}.",
            "Name what is {dir} the {y}.",
            "Tell me what is {dir} the {y}.",
            "Find the {y}. What is {dir} it?",
            "Look at the {y}. What is {dir} it?",
            "Something is {dir} the {y}. What is it?",
        ),
        (
            "What can be seen {dir} the {y}?",
            "Can you tell what is {dir} the {y}?",
            "What would you find {dir} the {y}?",
            "What is it that is {dir} the {y}?",
        ),
    ),
    "class yes/no": Wording(
        (
            "Is the {x} {a}?",
            "Is the {x} {a} in the {pic}?",
            "In the {pic}, is the {x} {a}?",
            "Is the {x} {a}? Answer yes or no.",
            "Is the {x} {a}? Please answer yes or no.",
            "Is it true that the {x} is {a}?",
            "The {x} is {a}. Is that true?",
            "The {x} is {a}. Is that right?",
            "Look at the {x}. Is it {a}?",
            "Look at the {pic}. Is the {x} {a}?",
            "Find the {x}. Is it {a}?",
            "Does the {pic} show that the {x} is {a}?",
            "Do you see that the {x} is {a}?",
            "What is the {x}? Is it {a}?",
            "Can you see if the {x} is {a}?",
        ),
        (
            "Would you say that the {x} is {a}?",
            "Yes or no: the {x} is {a}.",
            "Would you call the {x} {a}?",
            "Does the {x} look like {a}?",
        ),
    ),
}
