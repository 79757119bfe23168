"""Folders of photographs: `annotations.json` beside the pictures, or parts that `moai.data.photographs.pack` made.

`annotations.json` is {"pictures": [...]}, one object a picture. Needed are `file` (relative to the folder), `width`
and `height`, both in pixels. The rest may be missing:

    dataset              where the picture comes from
    boxes                [{"label": "dog", "box": [x1, y1, x2, y2]}, ...], pixels; "crowd" or "maybe_crowd": true for a
                         box around a group
    boxes_exhaustive     true: every thing of the labels that the file's boxes have is boxed here
    captions             ["A dog runs.", ...]
    questions            [{"question": ..., "answer": ..., "source": ...}, ...]
    caption_pairs        [{"true": ..., "false": ..., "kind": ...}, ...]
    spatial_statements   [{"statement": "The dog is on the bed.", "true": false, "relation": "on"}, ...]
    text_lines           [{"text": ..., "box": [x1, y1, x2, y2]}, ...], in reading order
    fields               {"total": "9.00", ...}, of a receipt or form
    squashed             true: the picture was made square by changing its proportions
    scene                what experts saw, as `Scene.to_dict(exact=True)` gives it

Other keys are left alone.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moai.data.conversations.conversation import RowError
from moai.data.conversations.folder import Folder
from moai.data.photographs.photograph import LabelledBox, Photograph
from moai.data.photographs.stored import Stored, stored_files
from moai.data.skipped import Skipped
from perception.scene import Box, Scene, TextLine

ANNOTATIONS = "annotations.json"
PARTS = "parts-*.zip"


def read_photographs(folder: str | Path, skipped: Skipped | None = None) -> list[Photograph]:
    """The photographs of a folder; those whose record is wrong, or whose picture is missing, go into `skipped`.

    Raises ValueError with one sentence for a folder without annotations or with a broken file of them, and when no
    photograph is left.
    """
    root = Path(folder).expanduser()
    skipped = skipped or Skipped("photographs skipped")
    parts = sorted(root.glob(PARTS))
    if not parts and not (root / ANNOTATIONS).is_file():
        raise ValueError(f"{root} holds no photographs; it needs {ANNOTATIONS} beside the pictures, or {PARTS}")
    found = []
    for place in parts or [root / ANNOTATIONS]:
        text, files = _opened(place)
        for number, record in enumerate(_records(place, text)):
            name = record.get("file") if isinstance(record, Mapping) else None
            try:
                found.append(_photograph(record, root, files))
            except (RowError, ValueError) as error:
                skipped.note(name if isinstance(name, str) else f"picture {number + 1}", str(error))
    if not found:
        raise ValueError(f"no photograph of {root} can be used; {skipped.sentence() or 'there is none'}")
    return found


def raw_records(folder: str | Path) -> list[dict[str, Any]]:
    """The records of a folder's `annotations.json` as they stand there; raises ValueError as `read_photographs`."""
    place = Path(folder).expanduser() / ANNOTATIONS
    return _records(place, _opened(place)[0])


def _opened(place: Path) -> tuple[bytes, dict[str, Stored] | None]:
    """The annotations, and the files of a part by name."""
    try:
        if place.suffix != ".zip":
            return place.read_bytes(), None
        with zipfile.ZipFile(place) as archive:
            return archive.read(ANNOTATIONS), stored_files(archive)
    except OSError as error:
        raise ValueError(f"{place} cannot be read ({error.strerror or 'input error'})") from error
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{place} is damaged, or no part of a folder of photographs") from error


def _records(place: Path, text: bytes) -> list[Any]:
    try:
        records = json.loads(text)["pictures"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{place} holds no annotations; it must be JSON, {{"pictures": [...]}}') from error
    if not isinstance(records, list):
        raise ValueError(f'{place}: "pictures" must be a list with one object a picture')
    return records


def _photograph(record: Any, root: Path, files: Mapping[str, Stored] | None) -> Photograph:
    """The photograph of a record; raises RowError, or ValueError for its scene."""
    if not isinstance(record, Mapping):
        raise RowError("it is not a JSON object")
    name, width, height = (record.get(key) for key in ("file", "width", "height"))
    if not isinstance(name, str) or not name:
        raise RowError('it has no "file", the name of a picture')
    if not (isinstance(width, int) and isinstance(height, int) and min(width, height) > 0):
        raise RowError(f'"width" and "height" must be whole numbers of pixels, got {width!r} and {height!r}')
    if files is None:
        path = Folder(root).find(name)
    elif name in files:
        path = files[name].archive / name
    else:
        raise RowError(f"its picture {name} is missing")
    try:
        return Photograph(
            path,
            str(record.get("dataset", "")),
            width,
            height,
            tuple(
                LabelledBox(one["label"], _shares(one["box"], width, height), _crowd(one))
                for one in record.get("boxes", ())
            ),
            tuple(text.strip() for text in record.get("captions", ())),
            _given(record, "questions", "question", "answer"),
            _given(record, "caption_pairs", "true", "false"),
            _given(record, "spatial_statements", "statement", "true"),
            tuple(_line(one, width, height) for one in record.get("text_lines", ())),
            {key: text.strip() for key, text in record.get("fields", {}).items()},
            bool(record.get("boxes_exhaustive")),
            bool(record.get("squashed")),
            None if files is None else files[name],
            _seen(record.get("scene")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RowError(f"its annotations are not in the form of such a file: {type(error).__name__} {error}") from error


def _shares(box: Any, width: int, height: int) -> Box:
    """A box of pixels as shares, no part of it outside; raises RowError for one that is none."""
    try:
        x1, y1, x2, y2 = (
            min(max(float(edge) / side, 0.0), 1.0) for edge, side in zip(box, (width, height) * 2, strict=True)
        )
    except (TypeError, ValueError) as error:
        raise RowError(f"{box!r} is no box; [x1, y1, x2, y2] in pixels is") from error
    if x1 > x2 or y1 > y2:
        raise RowError(f"the box {box!r} ends before it begins; [x1, y1, x2, y2] is its form")
    return x1, y1, x2, y2


def _crowd(record: Mapping) -> bool:
    return bool(record.get("crowd") or record.get("maybe_crowd"))


def _line(record: Mapping, width: int, height: int) -> TextLine:
    box = record.get("box")
    return TextLine(record["text"].strip(), 1.0, None if box is None else _shares(box, width, height))


def _given(record: Mapping, name: str, *needed: str) -> tuple[Mapping[str, Any], ...]:
    """The records of one list, each with what it needs."""
    items = tuple(record.get(name, ()))
    for item in items:
        for key in needed:
            if not isinstance(item[key], (str, bool)):
                raise RowError(f"{key!r} in its {name} must be text or, where it says so, true or false")
    return items


def _seen(scene: Any) -> str | None:
    """The scene as JSON, once it has been read without complaint; raises ValueError for what is none."""
    if scene is None:
        return None
    Scene.from_dict(scene)
    return json.dumps(scene)
