"""What a training leaves: checkpoints that it goes on from, and models that are handed on."""
