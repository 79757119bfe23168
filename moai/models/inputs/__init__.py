"""What the model reads: pixels, messages, and pictures in their places among words."""
