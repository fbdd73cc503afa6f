"""Convolution."""

from __future__ import annotations

from typing import Literal

from torch import nn

from cnntrain.core.kinds import Padding, Positive, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pair


@layer("conv")
def conv(
    *,
    in_channels: int,
    out: Positive,
    kernel: Size = 3,
    stride: Size = 1,
    padding: Literal["same", "valid"] | Padding = "valid",
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
            ceil(input / stride) and needs an odd kernel.
        dilation: distance in pixels between the taps of the kernel.
        groups: the maps are split into this many groups that do not see each other.
        bias: whether each output map has a learned offset.

    Raises:
        ValueError: groups do not divide the channels, or padding 'same' has an even kernel.
    """
    for what, channels in (("input", in_channels), ("output", out)):
        if channels % groups:
            raise ValueError(
                f"conv: groups {groups} does not divide the {channels} {what} channels; "
                f"choose a divisor of both {in_channels} and {out}"
            )
    return nn.Conv2d(
        in_channels,
        out,
        pair(kernel),
        stride=pair(stride),
        padding=_numeric(padding, kernel=pair(kernel), dilation=pair(dilation)),
        dilation=pair(dilation),
        groups=groups,
        bias=bias,
    )


def _numeric(
    padding: Literal["same", "valid"] | int | tuple[int, int],
    *,
    kernel: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int]:
    """Padding in pixels; torch's own 'same' refuses strides and pads even kernels on one side."""
    if padding == "valid":
        return 0, 0
    if padding != "same":
        return pair(padding)
    if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
        shown = kernel[0] if kernel[0] == kernel[1] else list(kernel)
        raise ValueError(
            f"conv: padding 'same' needs an odd kernel to have a centre, not {shown}; "
            f"choose an odd kernel, or give the padding as a number"
        )
    return dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2
