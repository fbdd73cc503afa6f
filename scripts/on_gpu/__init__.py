"""What `scripts/check_cuda` does, and what the tests do of it on a GPU that is only pretended."""
