"""Layers: one technique per file, each registered under the name that YAML uses.

This module does not import torch: the catalogue reads the files' signatures, and imports a file
only when a network is built.
"""

from pathlib import Path

from cnntrain.core.catalogue import Catalogue

LAYERS = Catalogue("layer", Path(__file__).parent, __name__)
layer = LAYERS.register
