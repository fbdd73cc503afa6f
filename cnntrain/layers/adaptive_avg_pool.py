"""Average pooling to a given size."""

from __future__ import annotations

from torch import nn

from cnntrain.core.kinds import Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pair, require_maps


@layer("adaptive_avg_pool", affine="plain")
def adaptive_avg_pool(*, in_shape: tuple[int, ...], out: Size) -> nn.AdaptiveAvgPool2d:
    """Adaptive average pooling: the mean of each of `out` by `out` windows that cover the map.

    Row i of the output is the mean of the rows from floor(i H / out) to ceil((i + 1) H / out) - 1:
    windows of equal size side by side where out divides H, overlapping by up to a row where it does
    not, and each row several times where H is less than out. It lets a network with fully connected
    layers read images of any size; He et al., "Spatial Pyramid Pooling in Deep Convolutional
    Networks for Visual Recognition", 2014, pool so.

    Shape: (N, C, H, W) -> (N, C, out, out).

    Args:
        out: side of the output in pixels, or [height, width].

    Raises:
        ValueError: the input has no height and width.
    """
    require_maps("adaptive_avg_pool", in_shape)
    return nn.AdaptiveAvgPool2d(pair(out))
