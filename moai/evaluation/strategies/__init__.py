"""What drafts and contrast do to answers: accuracy, calibration and cost, beside the greedy answer."""
