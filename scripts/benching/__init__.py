"""The parts of scripts/bench: each is a function that yields rows."""
