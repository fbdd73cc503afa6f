"""Convolution."""

from __future__ import annotations

from typing import Literal

from torch import nn

from cnntrain.core.kinds import Padding, Positive, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import numeric_padding, pair, require_divides


@layer("conv", affine="mixes")
def conv(
    *,
    in_channels: int,
    out: Positive,
    kernel: Size = 3,
    stride: Size = 1,
    padding: Literal["same", "valid", "circular"] | Padding = "valid",
    dilation: Size = 1,
    groups: Positive = 1,
    bias: bool = True,
) -> nn.Conv2d:
    """2-D convolution: each output map is a weighted sum over a window of all input maps.

    As in all deep-learning libraries the kernel is not flipped (it is a correlation):
    `y[o, i, j] = b[o] + sum over c, p, q of w[o, c, p, q] x[c, i s + p d - pad, j s + q d - pad]`.
    LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998.

    Shape: (N, C, H, W) -> (N, out, H', W'), H' = floor((H + 2 pad - d (k - 1) - 1) / s) + 1.

    Args:
        out: number of output maps.
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window in pixels, or [vertical, horizontal].
        padding: zeros around the image: a number, a pair [vertical, horizontal], 'valid' for
            none, or 'same' for dilation (kernel - 1) / 2 on every side, which makes the output
            ceil(input / stride) and needs an odd kernel. 'circular' is as wide as 'same', but of
            the pixels of the opposite side in place of zeros: with stride 1 an image shifted around
            its borders gives the same maps, shifted.
        dilation: distance in pixels between the taps of the kernel.
        groups: the maps are split into this many groups that do not see each other.
        bias: whether each output map has a learned offset.

    Raises:
        ValueError: groups do not divide the channels, or padding 'same' or 'circular' has an even
            kernel.
    """
    require_divides("conv", groups, in_channels, out)
    return nn.Conv2d(
        in_channels,
        out,
        pair(kernel),
        stride=pair(stride),
        padding=numeric_padding("conv", padding, kernel=pair(kernel), dilation=pair(dilation)),
        dilation=pair(dilation),
        groups=groups,
        bias=bias,
        padding_mode="circular" if padding == "circular" else "zeros",
    )
