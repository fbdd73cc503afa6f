"""cnntrain: train, check, explain and reuse convolutional networks that are described in YAML."""

__version__ = "0.1.0"
