"""A trained network opened for use: predict, evaluate, features, recalibrate."""
