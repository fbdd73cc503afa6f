"""The version, where every room can read it: none of them knows the front door."""

__version__ = "0.1.0"
