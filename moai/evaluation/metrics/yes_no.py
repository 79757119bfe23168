"""What a free answer to a yes-or-no question says."""

import re

_WORD = re.compile(r"[a-z']+")


def first_yes_no(text: str) -> str:
    """ "yes", "no" or "other", by the first word of the answer, as MME asks for ("Please answer yes or no").

    MME (Fu et al. 2023, arXiv 2306.13394, section 2.2): the answer is limited to yes or no; what begins with neither is
    wrong whatever the truth.
    """
    words = _WORD.findall(text.lower())
    return words[0] if words and words[0] in ("yes", "no") else "other"


def sentence_yes_no(text: str) -> str:
    """ "no" when the first sentence holds the word no or not, else "yes", as POPE's evaluation reads answers.

    POPE (Li et al. 2023, arXiv 2305.10355, and the authors' `evaluate.py`).
    """
    sentence = text.split(".")[0].lower()
    return "no" if {"no", "not"} & set(_WORD.findall(sentence)) else "yes"
