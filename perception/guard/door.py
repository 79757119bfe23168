"""The Scene's door: what experts found comes in, and what nobody could use stays outside."""

import copy
import math
from dataclasses import fields, is_dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from perception.registry import kinds

if TYPE_CHECKING:
    from perception.kinds.kind import Kind, Part
    from perception.scene import Scene

MAX_ITEMS = 10_000
"""Items of one part; those behind are left out."""
_SLACK = 1e-3
"""By how much a rounded score or box may leave 0..1; it is moved to the edge."""


class Unusable(ValueError):
    """What an expert gave cannot be used; the message says why, as the end of a sentence."""


def admit(kind: "Kind", found: "Scene", scene: "Scene") -> list[str]:
    """Puts the parts of a kind that are in `found` into `scene`, and returns one sentence for each part of which
    something stayed outside: labels and texts that are no text or hold half a surrogate pair, scores and boxes that are
    not within 0..1, masks of another shape than the picture, and relations to what is not there."""
    return [f"{kind.spoken}: {problem}" for problem in _moved(kind, found, scene, (scene.height, scene.width))]


def sound(scene: "Scene") -> "Scene":
    """The scene without what `admit` leaves outside, whatever the shapes of its masks."""
    clean = copy.copy(scene)
    clean.more = {}
    for kind in kinds():
        _moved(kind, scene, clean, None)
    return clean


def _moved(kind: "Kind", found: "Scene", scene: "Scene", shape: tuple[int, int] | None) -> list[str]:
    problems: list[str] = []
    kept = {part.name: _sound(part, _given(found, part.name), shape, problems) for part in kind.parts}
    if "objects" in kept:
        _tie(kept, found, problems)
    for name, items in kept.items():
        scene.put(name, list(items.values()))
    return problems


def _given(found: "Scene", name: str) -> Any:
    try:
        return found.part(name)
    except AttributeError:  # an expert can take a scene's own lists away
        return None


def _sound(part: "Part", given: Any, shape: tuple[int, int] | None, problems: list[str]) -> dict[int, Any]:
    """The items that can be used, by their number; masks must have this shape, where one is given."""
    spoken = part.name.replace("_", " ")
    if not isinstance(given, (list, tuple)):
        problems.append(f"its {spoken} left out, because they are {_a(given)} and no list")
        return {}
    items, why = {}, None
    for number, one in enumerate(given[:MAX_ITEMS]):
        try:
            items[number] = _checked(part, one, shape)
        except Unusable as error:
            why = why or str(error)
    if len(given) > len(items):
        why = why or f"at most {MAX_ITEMS:,} are taken"
        problems.append(f"{len(given) - len(items)} of {len(given)} {spoken} left out, because {why}")
    return items


def _checked(part: "Part", one: Any, shape: tuple[int, int] | None) -> Any:
    if part.item is not None and not isinstance(one, part.item):
        raise Unusable(f"one is {_a(one)} and no {part.item.__name__}")
    if isinstance(one, str):
        return _text("text", one)
    if part.name.endswith("boxes"):
        return _box("box", one)
    if not is_dataclass(one) or isinstance(one, type):
        return one
    changed = {}
    for field in fields(one):
        value = getattr(one, field.name)
        check = _BY_NAME.get(field.name) or _BY_TYPE.get(field.type)
        if check is None or (value is None and field.default is None):
            continue
        new = _mask(value, shape) if check is _mask else check(field.name, value)
        if new is not value:
            changed[field.name] = new
    return replace(one, **changed) if changed else one


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Unusable(f"a {name} is {_a(value)} and no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unusable(f"a {name} holds half a surrogate pair, which no text may") from None
    return value


def _number(name: str, value: Any) -> float:
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        raise Unusable(f"a {name} is {_a(value)} and no number")
    # Numbers of numpy become plain, so that a scene can be written as JSON.
    plain = value if isinstance(value, (int, float)) and type(value) in (int, float) else float(value)
    if isinstance(plain, float) and not math.isfinite(plain):
        raise Unusable(f"a {name} is {plain}, which is no number")
    return plain


def _share(name: str, value: Any) -> float:
    number = _number(name, value)
    if not -_SLACK <= number <= 1 + _SLACK:
        raise Unusable(f"a {name} is {number:.6g} and not within 0..1")
    return min(max(number, 0.0), 1.0) if not 0 <= number <= 1 else number


def _box(name: str, value: Any) -> tuple:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        raise Unusable(f"a {name} is not (x1, y1, x2, y2)")
    edges = [_share(f"{name}'s edge", edge) for edge in value]
    if edges[0] > edges[2] or edges[1] > edges[3]:
        raise Unusable(f"a {name} ends before it begins")
    same = isinstance(value, tuple) and all(edge is given for edge, given in zip(edges, value, strict=True))
    return value if same else tuple(edges)  # type: ignore[return-value]


def _place(name: str, value: Any) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise Unusable(f"a {name} is {_a(value)} and no number of an object")
    return value if type(value) is int else int(value)


def _mask(value: Any, shape: tuple[int, int] | None) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype != np.bool_ or value.ndim != 2 or not value.size:
        raise Unusable("a mask is no boolean array of height x width")
    if shape is not None and value.shape != shape:
        raise Unusable(f"a mask is {value.shape[0]} x {value.shape[1]} in a picture of {shape[0]} x {shape[1]}")
    return value


_BY_NAME: dict[str, Any] = {"score": _share, "box": _box, "mask": _mask, "subject": _place, "object": _place}
# The types of fields are names where a module asks for that.
_BY_TYPE: dict[Any, Any] = {str: _text, "str": _text, float: _number, "float": _number}


def _tie(kept: dict[str, dict[int, Any]], found: "Scene", problems: list[str]) -> None:
    """Leaves out relations between objects that are not there, and boxes that are not one for each object."""
    objects, relations, boxes = (kept[name] for name in ("objects", "relations", "object_boxes"))
    place = {number: new for new, number in enumerate(objects)}
    tied = {number: one for number, one in relations.items() if one.subject in place and one.object in place}
    if len(tied) < len(relations):
        left = len(relations) - len(tied)
        problems.append(f"{left} of {len(relations)} relations left out, because an object of one is not there")
    kept["relations"] = {
        number: one
        if (place[one.subject], place[one.object]) == (one.subject, one.object)
        else replace(one, subject=place[one.subject], object=place[one.object])
        for number, one in tied.items()
    }
    # Whoever draws needs a box for every object.
    paired = not boxes or len(found.object_boxes) == len(found.objects)
    if not paired:
        problems.append("its object boxes left out, because they are not one for each object")
    whole = paired and objects.keys() <= boxes.keys()
    kept["object_boxes"] = {number: boxes[number] for number in objects} if whole else {}


def _a(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
