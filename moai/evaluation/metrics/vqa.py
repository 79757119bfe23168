"""VQA accuracy: how many of ten people gave the answer."""

import re
from collections.abc import Sequence

_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS)} | {"none": "0"}
_ARTICLES = {"a", "an", "the"}
# Only stems whose contraction is no other word without its apostrophe (not "we'll", "it's").
_CONTRACTED = {
    "n't": "ai are ca could did does do had has have is might must need ought sha should was were wo would",
    "'ve": "could might must not should they we what where who would you",
    "'d": "he how it there they where who you",
    "'ll": "how it somebody someone something they what who why you",
    "'re": "there they what why you",
    "'s": "he how somebody someone that there what when where who why",
}
_CONTRACTIONS = {
    (stem + ending).replace("'", ""): stem + ending for ending, stems in _CONTRACTED.items() for stem in stems.split()
} | {"maam": "ma'am", "oclock": "o'clock", "twas": "'twas", "yall": "y'all"}
_MARKS = ';/[]"{}()=+\\_-><@`?!,'
_COMMA_IN_NUMBER = re.compile(r"(?<=\d),(?=\d)")
_PERIOD = re.compile(r"(?<!\d)\.|\.(?!\d)")


def normalise_answer(text: str) -> str:
    """An answer as VQA accuracy compares it: lower case, number words as digits, no articles, no full stops but decimal
    points, contractions with their apostrophe. Other punctuation is taken out where the mark touches a space, or
    anywhere if a comma stands inside a number, and is otherwise turned into a space.

    Source: the evaluation page of VQA (visualqa.org/evaluation.html), which lists these steps.
    """
    text = text.replace("\n", " ").replace("\t", " ").strip().lower()
    thousands = _COMMA_IN_NUMBER.search(text) is not None
    clean = text
    for mark in _MARKS:
        loose = thousands or f"{mark} " in text or f" {mark}" in text
        clean = clean.replace(mark, "" if loose else " ")
    words = [_NUMBERS.get(word, word) for word in _PERIOD.sub("", clean).split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """How right an answer is, 0..1: the mean, over every choice of all people but one, of min(agreeing / 3, 1).

    people: the answers of (usually ten) people. Raises ValueError for fewer than two.
    Source: Antol et al. 2015, "VQA: Visual Question Answering", as averaged over leave-one-out sets on
    visualqa.org/evaluation.html; TextVQA (Singh et al. 2019) uses the same.
    """
    if len(people) < 2:
        raise ValueError(f"VQA accuracy needs the answers of at least two people, got {len(people)}")
    given = normalise_answer(answer)
    agrees = [normalise_answer(one) == given for one in people]
    total = sum(agrees)
    return sum(min((total - agree) / 3, 1.0) for agree in agrees) / len(people)
