"""Training and evaluation data: examples, where they come from, and how they become rows."""
