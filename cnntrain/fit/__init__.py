"""Training as a whole: fit, resume, folds, ablate."""
