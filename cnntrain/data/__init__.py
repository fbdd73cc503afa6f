"""Data sets, transforms and loaders.

This module does not import torch: the catalogues read the files' signatures, and import a file
only when its data set or transform is used.
"""

from cnntrain.core.choices import DATASETS, TRANSFORMS

__all__ = ["DATASETS", "TRANSFORMS", "dataset", "transform"]

dataset = DATASETS.register
transform = TRANSFORMS.register
