"""Questions about what the background is made of, at the top and at the bottom of the picture."""

from moai.data.drawn.catalog import STUFF_LABELS, UPPER_STUFF
from moai.data.drawn.facts import asked_for, confusable
from moai.data.drawn.question import YES_NO, Question, yes
from moai.data.drawn.questions.asking import Asker
from moai.data.drawn.render.geometry import stuff_at
from moai.data.draws import pick

EDGES = {"top": 0.02, "bottom": 0.98}
"""What an edge is called -> where it lies, as a share of the height."""
_ACROSS = (0.06, 0.3, 0.5, 0.7, 0.94)
_YES_NO = 0.5
# A river never runs along an edge.
_LOWER = tuple(label for label in STUFF_LABELS if label not in (*UPPER_STUFF, "river"))


def covering(asker: Asker, edge: str) -> str | None:
    """The stuff that runs along an edge; None when there are several, or none that has a name."""
    layout = asker.facts.layout
    found = {stuff_at(layout, x, EDGES[edge]) for x in _ACROSS}
    labels = {None if index is None else layout.stuff[index].label for index in found}
    return labels.pop() if len(labels) == 1 else None


def surface_at_an_edge(asker: Asker) -> tuple[str, str, list[str]] | None:
    """(edge, what covers it, what else might but does not) for an edge drawn at random, or None where that has no
    name."""
    # What is at the top is nearly always the sky.
    edge = "top" if asker.rng.random() < 0.2 else "bottom"
    if (label := covering(asker, edge)) is None:
        return None
    others = UPPER_STUFF if edge == "top" else _LOWER
    return edge, label, [one for one in others if one != label and one not in confusable(label)]


def surface(asker: Asker) -> Question | None:
    """One question about what covers an edge of the picture, or None where that has no name."""
    if (found := surface_at_an_edge(asker)) is None:
        return None
    edge, label, false = found
    if asker.rng.random() >= _YES_NO:
        return Question("surface", asker.say("surface", edge=edge), label, detail="open")
    true = asker.coin()
    text = asker.say("surface yes/no", a=asked_for(label if true else pick(asker.rng, false)), edge=edge)
    return Question("surface", text, yes(true), detail=YES_NO)
