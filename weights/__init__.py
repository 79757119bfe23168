"""Embedded models and experts; each folder holds a card that says how it was made."""

from pathlib import Path

WEIGHTS = Path(__file__).parent
NANO = WEIGHTS / "moai-nano"
"""The model of the drawn world, for tests and the laboratory."""
DEFAULT_MODEL = WEIGHTS / "moai-small"
"""The model that answers where none is named."""


def embedded_models() -> list[str]:
    """Names of the models that come along."""
    return sorted(folder.name for folder in WEIGHTS.glob("moai-*"))
