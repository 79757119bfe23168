"""Experts that raise, hang, end the program or return nonsense: the answer comes, with a warning."""

import io
import math
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from perception import Detection, Perception, Relation, Scene, Segment, TextLine, verbalize
from perception.draw import draw
from tests.robustness.tally import Tally, unfit

KINDS = ("segmentation", "detection", "scene_graph", "ocr")
_TEXTS: tuple[Any, ...] = (
    None, 3, b"bytes", "", " ", "\ud83d", "\0", "a\nb\u2028c", "x" * 100_000, "<image>", "</s>", "\u202e", ["a"],
    object(), math.nan,
)  # fmt: skip
_SCORES: tuple[Any, ...] = (
    None,
    math.nan,
    math.inf,
    -1,
    2,
    1e30,
    "0.5",
    [],
    True,
    np.float32(0.5),
    np.nan,
    1j,
    object(),
)
_BOXES: tuple[Any, ...] = (
    None, (), (0, 0, 1), (0, 0, 1, 1, 1), (1, 1, 0, 0), (0, 0, 0, 0), (-1, -1, 2, 2), (math.nan,) * 4,
    (math.inf, 0, 1, 1), "abcd",
    (0, 0, "1", 1), np.array([0, 0, 1, 1]), np.zeros((2, 2)), (1e300,) * 4, {}, 3, (None,) * 4,
)  # fmt: skip
_INDICES: tuple[Any, ...] = (-1, 99, None, 0.5, "0", math.nan, True, 10**30)
_MASKS: tuple[Any, ...] = (
    None, np.zeros((2, 2), bool), np.zeros((0, 0), bool), np.ones((64, 48), float), np.full((48, 64), np.nan),
    "mask", [[1]], 3,
)  # fmt: skip


class _Odd(Exception):
    def __str__(self):
        raise RuntimeError("not even a message")


_RAISED: tuple[Callable[[], BaseException], ...] = (
    lambda: ValueError("bad"), lambda: ValueError(""), lambda: RuntimeError("two\nlines"), lambda: KeyError("key"),
    lambda: MemoryError(),
    lambda: RecursionError(), lambda: SystemExit(3), lambda: StopIteration(), lambda: GeneratorExit(),

    lambda: _Odd(), lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    lambda: OSError(28, "No space left on device"),
    lambda: RuntimeError("\ud83d"), lambda: RuntimeError("x" * 100_000), lambda: BaseException("base"),
    lambda: TimeoutError(),
)  # fmt: skip


def misbehaving(number: int, seed: int, ended: threading.Event) -> tuple[str, Callable[[np.ndarray, Scene], Any]]:
    """One expert by its number, and what it does; those that hang do so until `ended`."""
    random = Random(f"{seed} {number}")
    if number % 4 == 0:
        makes = random.choice(_RAISED)

        def raises(picture, scene):
            raise makes()

        return f"raises {type(makes()).__name__}", raises
    if number % 12 == 1:
        return "hangs", lambda picture, scene: ended.wait()
    if number % 12 == 5:
        return random.choice(_WHOLE)
    filled = _part(random)

    def fills(picture, scene):
        for name, value in filled.items():
            setattr(scene, name, value)

    return f"returns {filled!r:.150}", fills


def _changes(picture, scene):
    picture[:] = 0


def _many(picture, scene):
    scene.detections = [Detection("dog", (0.1, 0.1, 0.9, 0.9), 0.9)] * 20_000
    scene.text_lines = [TextLine("word " * 20, 0.9, (0.1, 0.1, 0.9, 0.9))] * 20_000


def _spoils(picture, scene):
    scene.width, scene.height, scene.warnings, scene.timings = None, -1, None, 3


_WHOLE: tuple[tuple[str, Callable], ...] = (
    ("changes the picture", _changes), ("finds 20,000 things", _many), ("spoils the scene", _spoils),
    ("takes no argument", lambda: None), ("returns itself", lambda picture, scene: scene),
    ("empties the scene", lambda picture, scene: scene.__dict__.clear()),
)  # fmt: skip


def _part(random: Random) -> dict[str, Any]:
    def text():
        return random.choice((random.choice(_TEXTS), "dog"))

    def score():
        return random.choice((random.choice(_SCORES), 0.9))

    def box():
        return random.choice((random.choice(_BOXES), (0.1, 0.1, 0.9, 0.9)))

    def index():
        return random.choice((random.choice(_INDICES), 0))

    ways: tuple[Callable[[], Any], ...] = (
        lambda: {"detections": [Detection(text(), box(), score()) for _ in range(3)]},
        lambda: {"segments": [Segment(text(), box(), score(), random.choice(_MASKS)) for _ in range(3)]},
        lambda: {"text_lines": [TextLine(text(), score(), box()) for _ in range(3)]},
        lambda: {"objects": ["dog", text()], "object_boxes": [box()] * random.randrange(3),
                 "relations": [Relation(index(), text(), index(), score()) for _ in range(2)]},
        lambda: {random.choice(("detections", "segments", "text_lines", "relations", "objects")):
                 random.choice((None, 3, "abc", {}, [None], [1, 2], ["dog"], [[]], object(), iter([1])))},
    )  # fmt: skip
    return random.choice(ways)()


def experts(count: int, seed: int, assistant=None, time_limit: float = 2.0) -> Tally:
    """`count` experts that misbehave, one at a time beside three that find nothing: the Scene comes, its words, its
    drawing and its JSON are made of it, and `assistant`, where there is one, answers."""
    tally = Tally("Experts", f"experts --experts {count} --seed {seed}")
    picture = Image.effect_noise((64, 48), 50).convert("RGB")
    ended = threading.Event()
    try:
        for number in range(count):
            kind = KINDS[number % 4 if number % 3 else number // 4 % 4]
            what, expert = misbehaving(number, seed, ended)

            def call(kind=kind, expert=expert, what=what):
                quiet = {name: _nothing for name in KINDS if name != kind}
                perception = Perception(KINDS, cache_size=0, time_limit=time_limit, **quiet, **{kind: expert})
                scene = perception(picture)
                if what.startswith(("raises", "hangs", "takes no")) and not scene.warnings:
                    raise AssertionError("no warning")
                for warning in scene.warnings:
                    if why := unfit(warning, quotes=True):
                        raise AssertionError(f"a warning {why}: {warning[:200]!r}")
                verbalize(scene).encode()
                draw(np.asarray(picture), scene)
                Scene.from_dict(scene.to_dict())
                io.BytesIO(scene.to_bytes())
                if assistant is not None:
                    assistant.perception = perception
                    assistant.ask(picture, "What is this?", max_new_tokens=2)

            tally.trial(f"{number} {kind} {what}", call)
    finally:
        ended.set()
    return tally


def _nothing(picture: np.ndarray, scene: Scene) -> None:
    pass
