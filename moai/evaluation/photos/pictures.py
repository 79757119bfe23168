"""The pictures that are asked about: folders of photographs, or those that packages around us ship."""

import json
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from moai.data.photographs.annotations import read_photographs
from moai.data.photographs.photograph import LabelledBox, Photograph
from moai.evaluation.photos.item import View
from perception.perception import MAX_AT_ONCE
from perception.scene import Scene

BUILTIN = "builtin"
"""In a folder's place: photographs of scikit-image, scikit-learn and Ultralytics, as far as those are installed."""

Look = Callable[[Sequence], list[Scene]]
"""Pictures, as `perception.load_image` takes them, to their scenes."""


def builtin_photographs() -> list[Photograph]:
    """The photographs of `shown.json` whose package is installed; raises ValueError, with one sentence, for none."""
    found = []
    for record in json.loads(files(__package__).joinpath("shown.json").read_text(encoding="utf-8"))["pictures"]:
        package = find_spec(record["package"])
        path = None if package is None or package.origin is None else Path(package.origin).parent / record["file"]
        if path is not None and path.is_file():
            width, height = record["width"], record["height"]
            boxes = tuple(
                LabelledBox(
                    one["label"], tuple(edge / side for edge, side in zip(one["box"], (width, height) * 2, strict=True))
                )
                for one in record["boxes"]
            )
            captions, questions = tuple(record["captions"]), tuple(record["questions"])
            found.append(
                Photograph(path, record["dataset"], width, height, boxes, captions, questions, exhaustive=True)
            )
    if not found:
        raise ValueError("no photographs are here; install scikit-image, or name a folder with --pictures")
    return found


def views_of(folders: Sequence[str]) -> list[View]:
    """The photographs of these folders (or `BUILTIN`), each with the scene that its folder holds.

    Raises ValueError as `read_photographs`, and for two pictures of one name.
    """
    given = [
        one for folder in folders for one in (builtin_photographs() if folder == BUILTIN else read_photographs(folder))
    ]
    views: dict[str, View] = {}
    for one in given:
        name = one.path.stem
        if name in views:
            raise ValueError(f"two photographs are called {name}; give folders whose pictures have different names")
        views[name] = View(name, one, one.scene)
    return list(views.values())


def looked_at(views: Sequence[View], names: Container[str], look: Callable[[], Look]) -> list[View]:
    """The views, those of these names with what `look()` sees where they have no scene; it is called for the first."""
    missing = [view for view in views if view.scene is None and view.name in names]
    see = look() if missing else None
    seen: dict[str, View] = {}
    for start in range(0, len(missing), MAX_AT_ONCE):
        part = missing[start : start + MAX_AT_ONCE]
        assert see is not None
        for view, scene in zip(part, see([view.photograph.read() for view in part]), strict=True):
            seen[view.name] = replace(view, scene=scene)
    return [seen.get(view.name, view) for view in views]
