"""The example pictures of the page, each with a question that the model answers."""

import json
from pathlib import Path

from moai.presets import named_preset

_HERE = Path(__file__).resolve()
DRAWN = _HERE.parents[2] / "examples"
"""Scenes of the drawn world, in a checkout only."""
_PHOTOGRAPHS = (_HERE.parents[1] / "examples", DRAWN / "photographs")


def photographs() -> Path:
    """The folder of photographs, of an installed package or a checkout."""
    return next((folder for folder in _PHOTOGRAPHS if folder.is_dir()), _PHOTOGRAPHS[-1])


def examples_for(model: str | None = None, experts_from: str | None = None) -> tuple[dict, ...]:
    """Dicts with `picture` (a path), `question` and `answer`: drawn scenes where the experts know these alone.

    model, experts_from: as `MoAI.from_pretrained` takes them. Empty where the pictures did not come along.
    """
    return listed_in(DRAWN if (experts_from or named_preset(model)) == "drawn" else photographs())


def listed_in(folder: Path) -> tuple[dict, ...]:
    """The examples of a folder with `examples.json`; none without it."""
    listed = folder / "examples.json"
    if not listed.is_file():
        return ()
    return tuple(one | {"picture": str(folder / one["picture"])} for one in json.loads(listed.read_text()))
