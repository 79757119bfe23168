"""Made-up scenes in the experts' words."""
