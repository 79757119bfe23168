"""Which preset of experts a model names, read from its folder without loading it."""

import json
from pathlib import Path

from weights import DEFAULT_MODEL, WEIGHTS, embedded_models

TIME_LIMIT_MEANS = "for a picture that an expert may take; then the answer comes without it"
MEMORY_MEANS = "of a CUDA device that the model may take, such as 8GB: layers that do not fit come as they are wanted"
TRUST_PICKLES_MEANS = "run the code that weights of experts hold: only for your own"
FILES = ("moai_adapter.json", "config.json")


def named_preset(model: str | Path | None = None) -> str | None:
    """The preset of a model's folder or name, of the default model without one; None where it can't be told so."""
    folder = DEFAULT_MODEL if model is None else Path(model).expanduser()
    if not folder.is_dir() and str(model) in embedded_models():
        folder = WEIGHTS / str(model)
    for name in FILES:
        try:
            record = json.loads((folder / name).read_text())
            return record.get("config", record).get("experts_from")
        except (OSError, ValueError, AttributeError):
            continue
    return None
