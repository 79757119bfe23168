"""Wordings of questions about the whole picture: multiple choice and descriptions."""

from synth.wordings.wording import Wording

CHOICE_SUFFIX = Wording(
    ("", "", "", "\nAnswer with the letter.", "\nChoose one.", "\nGive the letter only.", "\nAnswer with one letter."),
    ("", "\nReply with the letter of the right option."),
)

FORMS = {
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
            "Please describe the {pic} in one sentence.",
            "In one sentence, what does the {pic} show?",
            "In one sentence, what is in the {pic}?",
            "What do you see? Answer in one sentence.",
            "What is in this {pic}? Answer in one sentence.",
            "Say in one sentence what the {pic} shows.",
            "Tell me in one sentence what you see.",
            "Tell me in one sentence what is in the {pic}.",
            "Give a short description of the {pic}.",
            "Give a description of this {pic} in one sentence.",
            "Write one sentence about this {pic}.",
            "Describe the {pic} with one sentence.",
            "Write a short description of the {pic}.",
            "Use one sentence to describe the {pic}.",
        ),
        (
            "Sum up the {pic} in one sentence.",
            "Write a caption for the {pic}.",
            "With a single sentence, tell what this {pic} shows.",
            "Give one sentence that describes the {pic}.",
            "Can you describe this {pic} briefly?",
        ),
    ),
    "long description": Wording(
        (
            "Describe the {pic}.",
            "Describe this {pic}.",
            "Please describe the {pic}.",
            "Describe the {pic} in two or three sentences.",
            "Describe this {pic} in two sentences.",
            "Describe what you see in the {pic}.",
            "What does the {pic} show?",
            "What is shown in this {pic}? Say more than one sentence.",
            "What do you see in the {pic}?",
            "What do you see here?",
            "Tell me what is in the {pic}.",
            "Tell me what you see.",
            "Give a description of the {pic}.",
            "Write two or three sentences about this {pic}.",
            "Tell me all about this {pic}.",
            "Describe the {pic} and how things are related in it.",
        ),
        (
            "Can you describe what is in this {pic}?",
            "What would you say this {pic} shows?",
            "Give a full description of the {pic}.",
            "In a few sentences, what can be seen in the {pic}?",
            "Describe the {pic} in detail.",
        ),
    ),
}
