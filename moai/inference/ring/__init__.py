"""A decoder larger than the card: some layers stay there, others pass through slots (SE-MoE, arXiv 2205.10034)."""

from moai.inference.ring.layers import Ring
from moai.inference.ring.streaming import stream_layers

__all__ = ["Ring", "stream_layers"]
