"""L2 pooling."""

from __future__ import annotations

from cnntrain.core.kinds import Padding, Size
from cnntrain.layers import layer
from cnntrain.layers.lp_pool import LpPool


@layer("l2_pool")
def l2_pool(
    *,
    in_shape: tuple[int, ...],
    kernel: Size = 2,
    stride: Size | None = None,
    padding: Padding = 0,
) -> LpPool:
    """L2 pooling: the root of the sum of squares of each window, `lp_pool` with p = 2.

    Kavukcuoglu et al., "Learning Invariant Features through Topographic Filter Maps", 2009 (there
    with Gaussian weights in the window; here all weights are 1).

    Shape: (N, C, H, W) -> (N, C, H', W'), H' = floor((H + 2 padding - kernel) / stride) + 1.

    Args:
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window, or [vertical, horizontal]; null means the kernel.
        padding: zeros added on every side, or [vertical, horizontal]; at most half of the kernel.

    Raises:
        ValueError: the input has no height and width, or the padding exceeds half of the kernel.
    """
    return LpPool(in_shape=in_shape, p=2.0, kernel=kernel, stride=stride, padding=padding)
