"""MoAI inside lmms-eval, the harness of the field; needs the optional dependencies `bench`."""
