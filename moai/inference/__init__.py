"""What makes answering fast: decoding on a static cache, prefill, fused weights, quantisation."""

from moai.inference.fused import fuse_weights
from moai.inference.generation import encode, generate

__all__ = ["encode", "fuse_weights", "generate"]
