"""Training of the embedded experts: detector and relation head."""
