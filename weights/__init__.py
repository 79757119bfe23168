"""The embedded model and experts; each folder holds a card that says how it was made."""

from pathlib import Path

WEIGHTS = Path(__file__).parent
EMBEDDED_MODEL = WEIGHTS / "moai-nano"
