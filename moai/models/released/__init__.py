"""Checkpoints as the paper's authors released them, and where they are kept once they are converted."""

from moai.models.released.folders import folder_of

__all__ = ["folder_of"]
