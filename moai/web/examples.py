"""The example pictures of the page, each with a question that the embedded model answers."""

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "examples"


def _read() -> tuple[dict, ...]:
    listed = FOLDER / "examples.json"
    if not listed.is_file():  # an installed package comes without them
        return ()
    return tuple(one | {"picture": str(FOLDER / one["picture"])} for one in json.loads(listed.read_text()))


EXAMPLES = _read()
"""Dicts with `picture` (a path), `question` and `answer`; none where the package is installed without a checkout."""
