"""Data sets, transforms and loaders.

This module does not import torch: the catalogues read the files' signatures, and import a file
only when its data set or transform is used.
"""

from pathlib import Path

from cnntrain.core.catalogue import Catalogue

DATASETS = Catalogue("data set", Path(__file__).parent / "sets", f"{__name__}.sets")
TRANSFORMS = Catalogue("transform", Path(__file__).parent / "transforms", f"{__name__}.transforms")
dataset = DATASETS.register
transform = TRANSFORMS.register
