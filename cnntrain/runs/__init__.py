"""A run on disk: its folder, its lock, what its checkpoints hold, and where it is."""
