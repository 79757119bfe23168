"""What a question about a drawn scene is, and the words that its short answers are made of."""

from dataclasses import dataclass

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white")
"""Every colour that a plate can have."""
LETTERS = "ABCD"
MAX_COUNT = 6
NEGATIVE = "negative"
"""The detail of a question whose premise is wrong; the answer says what there is not."""
YES_NO = "yes/no"


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its one right answer.

    `kind` is one of `moai.data.drawn.questions.ask.KINDS`. `options` are the texts behind the letters of a
    multiple-choice question, whose `answer` is the letter; else empty. `colours` is true when only somebody who sees
    colours can answer. `detail` says which sort of the kind it is: existence random, popular or adversarial (how an
    absent label is drawn); count label, group or yes/no; surface open or yes/no; position "relative yes/no", relative
    or region; colour how the sign is named, or yes/no; reading what the sign says
    (`moai.data.drawn.text.words.kind_of_text`), all (that is written), page (see `moai.data.drawn.text.pages`), or
    yes/no; relation object, subject, predicate or yes/no; choice what is chosen; description short or long; two_step
    what is asked for. Any but existence, count, surface, choice and description may also be NEGATIVE.
    """

    kind: str
    question: str
    answer: str
    options: tuple[str, ...] = ()
    detail: str = ""
    colours: bool = False

    @property
    def is_yes_no(self) -> bool:
        """True when the answer is "Yes" or "No" and not a sign's text that happens to be one of these."""
        return self.answer in ("Yes", "No") and (self.kind != "reading" or self.detail == YES_NO)


def yes(true: bool) -> str:
    """ "Yes" or "No"."""
    return "Yes" if true else "No"
