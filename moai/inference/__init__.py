"""What makes answering fast: decoding on a static cache, prefill, fused weights, quantisation."""

from moai.inference.fused import fuse_weights
from moai.inference.generation import generate

__all__ = ["fuse_weights", "generate"]
