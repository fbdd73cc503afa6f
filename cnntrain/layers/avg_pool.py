"""Average pooling."""

from __future__ import annotations

from torch import nn

from cnntrain.core.kinds import Padding, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pool_window


@layer("avg_pool", affine="plain")
def avg_pool(
    *,
    in_shape: tuple[int, ...],
    kernel: Size = 2,
    stride: Size | None = None,
    padding: Padding = 0,
    ceil: bool = False,
    count_padding: bool = True,
) -> nn.AvgPool2d:
    """Average pooling: the mean of each window of each map.

    LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998 (there with a
    learned factor and offset per map).

    Shape: (N, C, H, W) -> (N, C, H', W'), H' = floor((H + 2 padding - kernel) / stride) + 1.

    Args:
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window, or [vertical, horizontal]; null means the kernel.
        padding: zeros added on every side, or [vertical, horizontal]; at most half of the kernel.
        ceil: round the output size up, so that a last, partial window counts too.
        count_padding: whether the zeros of the padding count in the mean.

    Raises:
        ValueError: the input has no height and width, or the padding exceeds half of the kernel.
    """
    window = pool_window("avg_pool", in_shape, kernel, stride, padding)
    return nn.AvgPool2d(*window, ceil_mode=ceil, count_include_pad=count_padding)
