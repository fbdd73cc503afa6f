"""The losses, one in each file: what training makes small."""
