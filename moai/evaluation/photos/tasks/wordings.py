"""The same questions in other wordings: what the prompts of benchmarks and hasty people add must cost nothing."""

from collections.abc import Callable, Sequence

from moai.evaluation.photos.item import Item, Task, View, task

PLAIN = "as it is"
WORDINGS: dict[str, Callable[[str, Item], str]] = {
    PLAIN: lambda text, item: text,
    "LLaVA's suffix": lambda text, item: f"{text}\nAnswer the question using a single word or phrase.",
    "benchmark's suffix": lambda text, item: (
        text
        + (" Please answer yes or no." if item.truth[0] in ("yes", "no") else "\nAnswer with a single word or phrase.")
    ),
    "in capitals": lambda text, item: text.upper(),
    "<image> in front": lambda text, item: f"<image>\n{text}",
    "an emoji behind": lambda text, item: f"{text} \N{SMILING FACE WITH SMILING EYES}",
}
QUESTIONS = 200
FROM = {"pope": 0.4, "counting": 0.2, "position": 0.2, "reading": 0.2}
"""Shares of the questions by the task they come from."""


def make(views: Sequence[View], seed: int) -> list[Item]:
    """Up to 200 questions of other tasks, each in every wording."""
    items = []
    for name, share in FROM.items():
        asked = {(one.picture, one.question): one for one in task(name).make(views, seed)}
        for one in sorted(asked.values(), key=lambda one: one.place)[: round(share * QUESTIONS)]:
            items += [
                Item("wordings", wording, one.picture, say(one.question, one), one.truth, of=name, base=one.question)
                for wording, say in WORDINGS.items()
            ]
    return items


def marks(items: Sequence[Item], answers: Sequence[str]) -> list[float]:
    """As the tasks mark that the questions come from."""
    return [task(item.of).marks([_origin(item)], [text])[0] for item, text in zip(items, answers, strict=True)]


def _origin(item: Item) -> Item:
    # Where the words of a choice stand in the group's name, the truth tells which they are.
    group = next((one for one in ("left or right", "above or below") if item.truth[0] in one.split()), item.group)
    return Item(item.of, group, item.picture, item.base, item.truth)


TASK = Task("wordings", "the same questions with suffixes, in capitals, with an emoji", make, marks, ways=("full",))
