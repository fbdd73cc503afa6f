"""Max pooling."""

from __future__ import annotations

from torch import nn

from cnntrain.core.kinds import Padding, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pool_window


@layer("max_pool")
def max_pool(
    *,
    in_shape: tuple[int, ...],
    kernel: Size = 2,
    stride: Size | None = None,
    padding: Padding = 0,
    ceil: bool = False,
) -> nn.MaxPool2d:
    """Max pooling: the largest value of each window of each map.

    Windows overlap if the stride is less than the kernel. Padding never wins: it counts as minus
    infinity. Ranzato et al., "Unsupervised Learning of Invariant Feature Hierarchies", 2007.

    Shape: (N, C, H, W) -> (N, C, H', W'), H' = floor((H + 2 padding - kernel) / stride) + 1.

    Args:
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window, or [vertical, horizontal]; null means the kernel.
        padding: pixels added on every side, or [vertical, horizontal]; at most half of the kernel.
        ceil: round the output size up, so that a last, partial window counts too.

    Raises:
        ValueError: the input has no height and width, or the padding exceeds half of the kernel.
    """
    window = pool_window("max_pool", in_shape, kernel, stride, padding)
    return nn.MaxPool2d(*window, ceil_mode=ceil)
