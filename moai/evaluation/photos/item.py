"""What all tasks over photographs share: a picture with its scene, a question with its truth, and a task."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module

import numpy as np

from moai.data.photographs.photograph import Photograph
from perception.scene import Scene

MAJORITY, RULE = "majority", "rule"
"""Ways to answer that need no model: the commonest truth, and what follows from the experts' findings by a rule."""


@dataclass(frozen=True)
class View:
    """A photograph under a `name` of its own, with what experts saw in it (None: none looked)."""

    name: str
    photograph: Photograph
    scene: Scene | None = None

    def random(self, seed: int, task: str) -> np.random.Generator:
        """Chances of one task about this picture, whatever other pictures there are."""
        return np.random.default_rng((seed, zlib.crc32(f"{task}/{self.name}".encode())))

    @cached_property
    def read(self) -> str:
        """All that the text expert read, line by line."""
        return "" if self.scene is None else "\n".join(line.text for line in self.scene.text_lines)

    def count(self, label: str, least: float) -> int:
        """How many detections of a label have a score of at least `least`."""
        found = () if self.scene is None else self.scene.detections
        return sum(one.label == label and one.score >= least for one in found)

    def counts(self, least: float) -> dict[str, int]:
        """How many detections with a score of at least `least` there are, by label, most first, of as many the one that
        was detected first."""
        labels = [] if self.scene is None else [one.label for one in self.scene.detections if one.score >= least]
        return dict(Counter(labels).most_common())


@dataclass(frozen=True)
class Item:
    """A question of a `task` about a picture ("": none), scored with others of its `group`.

    truth: right answers, or people's captions. options: texts of which the likeliest is chosen, the right one first;
    nothing is generated then. rule: what a rule over the experts' findings answers. held: whether the lines that the
    text expert read hold the answer (None: it is not about text). `of` names the task whose marks count and `base` the
    question in its plain form, where this is another wording of it.
    """

    task: str
    group: str
    picture: str
    question: str
    truth: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    rule: str | None = None
    held: bool | None = None
    of: str = ""
    base: str = ""

    @property
    def key(self) -> str:
        """Names the item in files."""
        told = "\0".join((self.question, *self.options))
        return f"{self.task}/{self.group}/{self.picture}/{hashlib.sha256(told.encode()).hexdigest()[:10]}"

    @property
    def place(self) -> int:
        """Where it stands in an order by chance, in which all wordings of a question stand alike."""
        return zlib.crc32(f"{self.picture}/{self.base or self.question}".encode())

    def to_dict(self) -> dict:
        """Plain Python values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping) -> "Item":
        """The item that `to_dict` gave."""
        lists = {name: tuple(record[name]) for name in ("truth", "options")}
        return cls(**{**record, **lists})


Marks = Callable[[Sequence[Item], Sequence[str]], Sequence[float]]


@dataclass(frozen=True)
class Task:
    """One task. `make(views, seed)` gives its items, `marks(items, answers)` how right answers are: 0..1, or what
    `unit` says. `measures` gives further numbers of a group, by name. `tokens` is the longest answer, `short` whether a
    word or a phrase is wanted. `ways` are the ways of answering that make sense (None: all about pictures)."""

    name: str
    about: str
    make: Callable[[Sequence[View], int], list[Item]]
    marks: Marks
    tokens: int = 12
    short: bool = True
    measures: Callable[[Sequence[Item], Sequence[str]], dict[str, float]] | None = None
    ways: tuple[str, ...] | None = None
    unit: str = "%"


def each(mark: Callable[[Item, str], float]) -> Marks:
    """Marks of a task whose items are marked one by one."""
    return lambda items, answers: [float(mark(item, text)) for item, text in zip(items, answers, strict=True)]


_TASKS = (
    "pope",
    "counting",
    "position",
    "rooms",
    "reading",
    "captions",
    "statements",
    "wordings",
    "general",
    "shown",
)


def task_names() -> tuple[str, ...]:
    """Every task, in the order of reports."""
    return _TASKS


def task(name: str) -> Task:
    """The task of this name, which its module declares as `TASK`; raises ValueError for an unknown one."""
    if name not in _TASKS:
        raise ValueError(f"there is no task {name!r}; known are {', '.join(_TASKS)}")
    return import_module(f"moai.evaluation.photos.tasks.{name}").TASK


def items_of(names: Sequence[str], views: Sequence[View], seed: int, limit: int | None = None) -> list[Item]:
    """The items of some tasks, of each group the first `limit`, picture by picture in an order by chance."""
    made: list[Item] = []
    for name in names:
        groups: dict[str, list[Item]] = {}
        for item in dict.fromkeys(task(name).make(views, seed)):
            groups.setdefault(item.group, []).append(item)
        for group in groups.values():
            made += sorted(group, key=lambda one: zlib.crc32(one.picture.encode()))[:limit]
    return made
