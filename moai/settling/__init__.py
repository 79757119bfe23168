"""Answers are settled with what the experts found: numbers with what was read, things with what was detected."""

from moai.settling.answer import Held, reason, settle, settled

__all__ = ["Held", "reason", "settle", "settled"]
