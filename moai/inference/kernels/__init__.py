"""Kernels in Triton for what a step of decoding does and libraries do slowly; each beside what stands in for it."""
