"""Names to look for, from where a person has them: a list, a file, the hub, or a set that everybody knows."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from perception.expert import ExpertUnavailable
from perception.labels import COCO_PANOPTIC_CLASSES
from perception.words import first_name

HUB = "hub:"
SOURCES = (
    "a name, coco (its 80 things), imagenet (its 1,000 classes), a file with a name on each line (.txt) or of names by "
    "number (.json), or hub:OWNER/NAME/FILE for such a file in a data set of the hub"
)
"""What may stand in a list of names, in words."""
_SUFFIXES = (".txt", ".json")


def names_of(sources: str | Sequence[str]) -> list[str]:
    """The names of one or several of SOURCES, in their order; of synonyms in files and sets, the first.

    Raises ExpertUnavailable with one sentence for a file that cannot be had.
    """
    names: list[str] = []
    for source in [sources] if isinstance(sources, str) else sources:
        if source in _SETS:
            names += _SETS[source]()
        elif source.startswith(HUB):
            names += _of_file(_fetched(source.removeprefix(HUB)))
        elif source.endswith(_SUFFIXES):
            names += _of_file(Path(source).expanduser())
        else:
            names.append(source.strip())
    return names


def imagenet_labels(count: int = 1000) -> list[str]:
    """ImageNet's labels of a network with this many classes, with their synonyms; ValueError for other numbers."""
    from timm.data import ImageNetInfo
    from timm.data.imagenet_info import infer_imagenet_subset

    subset = "imagenet-1k" if count == 1000 else infer_imagenet_subset({"num_classes": count})
    if subset is None:
        raise ValueError(f"no set of ImageNet has {count} classes")
    return list(ImageNetInfo(subset).label_descriptions())


_SETS: dict[str, Callable[[], list[str]]] = {
    "coco": lambda: list(COCO_PANOPTIC_CLASSES[:80]),
    "imagenet": lambda: [first_name(label) for label in imagenet_labels()],
}


def _fetched(place: str) -> Path:
    from perception.networks.hub import fetching

    owner, name, *path = place.split("/")
    with fetching(f"the list of names {place}", "a file of a data set of the hub"):
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(f"{owner}/{name}", "/".join(path), repo_type="dataset"))


def _of_file(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
        listed: Any = json.loads(text) if path.suffix == ".json" else text.splitlines()
    except OSError as error:
        raise ExpertUnavailable(f"the names in {path} cannot be read ({error.strerror or 'input error'})") from error
    except ValueError as error:
        raise ExpertUnavailable(f"{path} holds no names: it is not valid {path.suffix[1:].upper()}") from error
    if isinstance(listed, dict):
        listed = [listed[number] for number in sorted(listed, key=lambda one: int(one) if one.isdigit() else 0)]
    names = [first_name(one) for one in listed if isinstance(one, str) and one.strip()]
    if not names:
        raise ExpertUnavailable(f"{path} holds no names; it must have a name on each line, or names by number")
    return names
