"""What makes answering fast: decoding on a static cache, prefill, fused weights, quantisation."""
