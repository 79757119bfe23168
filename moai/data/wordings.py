"""Questions put as benchmarks, forms and hurried people put them: the same question, the same answer."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from moai.data.draws import pick
from moai.data.example import Example, Source

# LLaVA's (arXiv 2310.03744) and lmms-eval's first: they are what benchmarks append.
SHORT = (
    *("\nAnswer the question using a single word or phrase.",) * 5,
    " Answer the question using a single word or phrase.",
    "\nAnswer with a single word or phrase.",
    "\nGive a short answer.",
    "\nAnswer briefly.",
    " Short answer, please.",
    "\nKeep it short.",
)
YES_NO = (
    *("\nAnswer the question using a single word or phrase.",) * 2,
    *(" Please answer yes or no.", "\nPlease answer yes or no.", "\nAnswer yes or no.") * 2,
    " Yes or no?",
    "\nReply with yes or no only.",
)
LETTER = (
    *("\nAnswer with the option's letter from the given choices directly.",) * 5,
    "\nPlease answer with the letter of the right option.",
    "\nAnswer with the letter only.",
    "\nPlease select the correct answer from the options above.",
    "\nThe answer is which letter?",
)
FRAMES = (
    *("<image>\n{}",) * 4, "{}\n<image>", "<image>{}", "Question: {}", "Question: {}\nAnswer:", "Q: {}", "Q: {}\nA:",
    "Based on the image, answer the question: {}", "Look at the image and answer. {}", "Hi! {}", "Hello. {}",
    "Please answer: {}", "{} Thanks!", "{} Please.", "I have a question: {}", "Here is a picture.\n{}", "{}\nAnswer:",
)  # fmt: skip
EMOJI = ("😀", "🙂", "🤔", "👀", "🙏", "📷", "❓", "😊", "👍", "🐶", "🔍", "✨", "😂", "❤️")
_OPTIONS = re.compile(r"\n\(?A[.)] ")
_LONG, _DENIAL = 40, 5
"""Letters of the longest answer that is asked for in a word or phrase, and gaps of the longest such sentence ("There is
no dining table.")."""


def reworded(question: str, answer: str, rng: np.random.Generator) -> str:
    """The question with what a benchmark appends, in a frame, or written in another way; one of these or several."""
    draw = rng.random()
    if draw < 0.55:
        question = _with_suffix(question, answer, rng)
    if 0.45 < draw < 0.75:
        question = _framed(question, rng)
    if draw > 0.7 or rng.random() < 0.12:
        question = _written(question, answer, rng)
    return question


def _with_suffix(question: str, answer: str, rng: np.random.Generator) -> str:
    if "\n" in question.strip() and not _OPTIONS.search(question):
        return question  # it says already how to answer
    if _OPTIONS.search(question):
        # Some questions say so in words of their own, behind the last option.
        return question if not re.search(r"\n\(?[A-D][.)] [^\n]*$", question) else question + pick(rng, LETTER)
    if answer in ("Yes", "No"):
        return question + pick(rng, YES_NO)
    # A sentence is not asked for in a word.
    if len(answer) > _LONG or "sentence" in question or (answer.endswith(".") and answer.count(" ") > _DENIAL):
        return question
    return question + pick(rng, SHORT)


def _framed(question: str, rng: np.random.Generator) -> str:
    return pick(rng, FRAMES).replace("{}", question)


def _written(question: str, answer: str, rng: np.random.Generator) -> str:
    """In capitals, in small letters, without its mark, with an emoji, or mistyped."""
    draw = rng.random()
    if draw < 0.5:  # most, since no token of such a question is one that it had before
        return question.upper()
    if draw < 0.6:
        return question.lower()
    if draw < 0.7:
        return question.rstrip("?. ")
    if draw < 0.85:
        return f"{question}{pick(rng, (' ', ''))}{pick(rng, EMOJI)}"
    if draw < 0.9:
        return question.replace("?", pick(rng, ("??", "?!", " ?", "???")))
    return _mistyped(question, answer, rng)


def _mistyped(question: str, answer: str, rng: np.random.Generator) -> str:
    """One plain word of the question with two letters swapped, one left out or one doubled; none of the options'."""
    asked = _OPTIONS.split(question)[0]
    words = [
        found
        for found in re.finditer(r"\b[a-z]{4,}\b", asked)
        if found[0] not in answer.lower() and found[0] in _PLAIN_WORDS
    ]
    if not words:
        return question
    found = pick(rng, words)
    word, at, draw = found[0], int(rng.random() * (len(found[0]) - 1)), rng.random()
    if draw < 0.4:
        changed = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    else:
        changed = word[:at] + word[at + 1 :] if draw < 0.75 else word[: at + 1] + word[at:]
    return question[: found.start()] + changed + question[found.end() :]


# Slips in names of things would change what is asked for.
_PLAIN_WORDS = frozenset(
    {
        *("what", "which", "where", "there", "many", "picture", "image", "photo", "does", "have", "this", "show"),
        *("shown", "visible", "number", "color", "colour", "kind", "type", "written", "describe", "caption", "please"),
        *("answer", "question", "using", "single", "word", "phrase", "right", "side", "with", "from", "left", "they"),
    }
)


class Reworded:
    """A source of which a `share` of the questions is put otherwise; the answers stay."""

    def __init__(self, source: Source, share: float, seed: int) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"wordings is the share of questions that are put otherwise, within 0 to 1, got {share!r}")
        self.source, self.share, self.seed = source, share, seed

    @property
    def class_names(self) -> Sequence[str]:
        """Those of the source."""
        return self.source.class_names

    def examples(self, position: int) -> Iterator[Example]:
        """The source's examples, reworded."""
        rng = np.random.default_rng((self.seed, position, 5))
        for example in self.source.examples(position):
            dialogue = self._spoken(example.dialogue, rng) if example.dialogue else ()
            yield replace(example, turns=self._turns(example.turns, rng), dialogue=dialogue)

    def held_out(self, count: int) -> list[Example]:
        """As the source keeps them."""
        return self.source.held_out(count) if hasattr(self.source, "held_out") else []

    def reports(self) -> list[str]:
        """Those of the source."""
        return self.source.reports() if hasattr(self.source, "reports") else []

    def _turns(self, turns: Iterable[tuple[str, str]], rng: np.random.Generator) -> Iterator[tuple[str, str]]:
        for question, answer in turns:
            yield self._put(question, answer, rng), answer

    def _spoken(self, messages: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> list[Mapping[str, Any]]:
        said = list(messages)
        for number in range(1, len(said)):
            if (said[number - 1]["role"], said[number]["role"]) == ("user", "assistant"):
                text = self._put(said[number - 1]["content"], said[number]["content"], rng)
                said[number - 1] = {**said[number - 1], "content": text}
        return said

    def _put(self, question: str, answer: str, rng: np.random.Generator) -> str:
        return reworded(question, answer, rng) if rng.random() < self.share else question
