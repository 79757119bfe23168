"""Training: the small decoder's language, the backbone's eyes, and the two steps of the MoAI paper."""
