"""Drawn scenes with known answers: an endless, seeded source of pictures, their ground truth and questions."""
