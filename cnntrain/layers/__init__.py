"""Layers: one technique per file, each registered under the name that YAML uses.

This module does not import torch: the catalogue reads the files' signatures, and imports a file
only when a network is built.
"""

from cnntrain.core.choices import LAYERS

__all__ = ["LAYERS", "layer"]

layer = LAYERS.register
