"""The ways of answering that stand beside each other: the whole model, parts of it, and the language model under it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from moai.evaluation.answering import without
from moai.evaluation.photos.item import View
from perception.registry import kind, kinds
from perception.scene import Scene

MODEL, PLAIN, TUNED = "model", "plain", "tuned"
"""Who speaks: the model, the language model that it was made from, and a text model taught on the experts' words."""
FULL = "full"


@dataclass(frozen=True)
class Way:
    """One way of answering: who speaks, whether the picture is shown, the `experts` that the mixers hear (None: the
    mixers rest), whether the experts' words stand in the prompt, and whether answers are `settled` with what these
    experts found (`moai.settling`)."""

    name: str
    about: str
    speaker: str = MODEL
    picture: bool = True
    experts: tuple[str, ...] | None = None
    words: bool = False
    settled: bool = False


def experts_in(views: Sequence[View]) -> tuple[str, ...]:
    """The experts that said anything about any of the pictures."""
    scenes = [view.scene for view in views if view.scene is not None]
    return tuple(one.name for one in kinds() if any(scene.part(part.name) for part in one.parts for scene in scenes))


def heard(scene: Scene, experts: Sequence[str]) -> Scene:
    """The scene as it is when these experts look alone."""
    left = replace(scene, more=dict(scene.more))
    for one in kinds():
        if one.name not in experts:
            for part in one.parts:
                left.more.pop(part.name, None)
                left.put(part.name, [])
    return left


def ways_of(views: Sequence[View], plain: bool, tuned: bool) -> dict[str, Way]:
    """Every way of answering about these pictures, by name."""
    every, seen = tuple(one.name for one in kinds()), experts_in(views)
    ways = [
        Way(FULL, "the model with picture and experts", experts=every, settled=True),
        Way("as written", "what the model wrote, not settled with what experts found", experts=every),
        Way("question", "the question alone", picture=False),
        Way("backbone", "no experts: the mixers rest"),
        Way("empty", "the mixers run, the experts say nothing", experts=()),
    ]
    if len(seen) > 1:
        ways += [
            Way(f"without {kind(name).short_name}", f"{kind(name).spoken} left out", experts=left, settled=True)
            for name in seen
            for left in [without(name, every)]
        ]
    if plain:
        ways += [
            Way("plain", "the language model, the question alone", PLAIN, picture=False),
            Way("words", "the language model, the experts' words in its prompt", PLAIN, picture=False, words=True),
        ]
    if tuned:
        ways.append(Way("tuned", "a text model taught on the experts' words", TUNED, picture=False, words=True))
    return {way.name: way for way in ways}
