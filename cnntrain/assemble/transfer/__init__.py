"""Weights from elsewhere: where they come from, how they fit, and what of them may change."""
