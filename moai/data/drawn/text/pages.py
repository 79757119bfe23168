"""Lines of text as an OCR expert would read them off a page, a screen or a shop front, and what is asked of them."""

import numpy as np

from moai.data.drawn.question import Question
from moai.data.drawn.questions import wordings
from moai.data.drawn.text.words import sign_text
from moai.data.draws import pick

SHOWN = 48
"""Letters of a text that an answer gives at most; more of it is left out and shown by dots."""


def page_lines(rng: np.random.Generator, split: str = "train") -> list[str]:
    """1 to 10 lines of 1 to 6 words, numbers or strings of one `split` (see `moai.data.drawn.text.words.sign_text`)."""
    count = 1 + int(rng.random() ** 2 * 10)
    longest = 1 + int(rng.random() * 6)
    lines = []
    for _ in range(count):
        words = " ".join(sign_text(rng, split) for _ in range(1 + int(rng.random() * longest)))
        draw = rng.random()
        line = words.lower() if draw < 0.5 else words.upper() if draw < 0.7 else words
        line = line[:1].upper() + line[1:] if rng.random() < 0.4 else line
        lines.append(line + pick(rng, ("", "", "", ".", ",", ":", "!")))
    return lines


def shown(lines: list[str]) -> str:
    """The text of an answer: all lines, or their first whole words and dots."""
    text = ", ".join(line.rstrip(".,:") for line in lines)
    if len(text) <= SHOWN:
        return text
    return f"{text[: SHOWN + 1].rsplit(' ', 1)[0].rstrip(' ,.:')} ..."


def ask_of_page(lines: list[str], rng: np.random.Generator, count: int, wording: str = "varied") -> list[Question]:
    """`count` questions that all ask for the text, as if it stood on a sign or just so; there may be no line."""
    asked = []
    for _ in range(count):
        form = "all text" if rng.random() < 0.6 else "reading"
        template = pick(rng, wordings.FORMS[form].of(wording))
        text = template.format(pic=pick(rng, wordings.PICTURE), sign="the sign")
        missing = f"There is no {'text' if form == 'all text' else 'sign'}."
        asked.append(Question("reading", text, shown(lines) if lines else missing, detail="page"))
    return asked
