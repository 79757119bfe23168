"""Questions whose answers can be marked one by one: about photographs, about drawn scenes, or in text alone."""

import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moai.evaluation.photos.item import View, items_of, task
from moai.evaluation.photos.pictures import looked_at, views_of
from perception.scene import Scene

PHOTO_TASKS = ("pope", "counting", "position", "rooms", "reading")
_PUBLISHED = "published "


@dataclass(frozen=True)
class Asked:
    """A question under a `key` of its own, in a `group`; `mark(answer)` is 0..1. `picture` names what it is about ("":
    nothing), `pixels()` and `scene` are that picture and what experts saw in it."""

    key: str
    group: str
    question: str
    mark: Callable[[str], float]
    picture: str = ""
    pixels: Callable[[], np.ndarray] | None = None
    scene: Scene | None = None

    @property
    def about(self) -> str:
        """What it shares with others that are about the same: its picture, or itself."""
        return self.picture or self.key


def divided(asked: Sequence[Asked]) -> tuple[list[Asked], list[Asked]]:
    """Those that settings are chosen on, a quarter, picture by picture, and at least one picture's; and the others.

    Raises ValueError with one sentence where all are about one picture.
    """
    order = {one.about: zlib.crc32(one.about.encode()) for one in asked}
    if len(order) < 2:
        raise ValueError("too few questions to choose settings on some and report on others; ask more")
    dev = {name for name, number in order.items() if number % 4 == 0}
    if len(dev) in (0, len(order)):  # of a few pictures
        dev = {min(order, key=order.__getitem__)}
    return [one for one in asked if one.about in dev], [one for one in asked if one.about not in dev]


def about_photographs(folders: Sequence[str], look: Callable, limit: int | None, seed: int = 0) -> list[Asked]:
    """Short questions of `moai eval photos` about the photographs of these folders.

    look: what gives a function from pictures to scenes, where the folders hold none.
    """
    from perception.images import load_image

    def asked_about(views: Sequence[View]) -> list:
        items = items_of(PHOTO_TASKS, views, seed, limit)
        return [item for item in items if not item.group.startswith(_PUBLISHED)]

    views = views_of(folders)
    views = looked_at(views, {item.picture for item in asked_about(views)}, look)
    by_name = {view.name: view for view in views}
    return [
        Asked(
            item.key,
            item.task,
            item.question,
            lambda text, item=item: float(task(item.task).marks([item], [text])[0]),
            item.picture,
            lambda view=by_name[item.picture]: load_image(view.photograph.read()),
            by_name[item.picture].scene,
        )
        for item in asked_about(views)
    ]


def in_text(path: Path) -> list[Asked]:
    """Questions of a JSONL file: `question` and `answer` on each line; an answer is right whose last number is that of
    `answer`, or, where that has none, which holds it.

    Raises ValueError with one sentence for a file that cannot be read so.
    """
    made = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if line.strip():
                row = json.loads(line)
                question, answer = str(row["question"]), str(row["answer"])
                made.append(Asked(f"{number}", "text", question, lambda text, answer=answer: _same(text, answer)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no questions: each line must be an object with question and answer") from error
    return made


def _same(text: str, answer: str) -> float:
    numbers, wanted = (re.findall(r"-?\d+(?:\.\d+)?", one.replace(",", "")) for one in (text, answer))
    if wanted:
        return float(bool(numbers) and float(numbers[-1]) == float(wanted[-1]))
    return float(answer.strip().casefold() in text.casefold())
