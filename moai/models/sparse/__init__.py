"""Sparse layers: many small feed-forwards of which each token takes a few (DeepSeekMoE, arXiv 2401.06066)."""
