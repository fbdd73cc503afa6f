"""From maps to one list of numbers."""

from __future__ import annotations

from torch import nn

from cnntrain.layers import layer


@layer("flatten", affine="plain")
def flatten() -> nn.Flatten:
    """Flatten: the values of all maps in one row, map by map, each row by row.

    Shape: (N, C, H, W) -> (N, C H W).
    """
    return nn.Flatten()
