"""Questions about drawn scenes, with answers from their layouts alone."""
