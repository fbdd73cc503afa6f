"""Transposed convolution."""

from __future__ import annotations

from typing import Literal

from torch import nn

from cnntrain.core.kinds import Padding, Positive, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import numeric_padding, pair, require_divides


@layer("conv_transpose", affine="mixes")
def conv_transpose(
    *,
    in_channels: int,
    out: Positive,
    kernel: Size = 3,
    stride: Size = 1,
    padding: Literal["same", "valid"] | Padding = "valid",
    output_padding: Padding | None = None,
    groups: Positive = 1,
    bias: bool = True,
) -> nn.ConvTranspose2d:
    """Transposed convolution: each input pixel adds its multiple of the kernel to the output.

    It is the linear map that takes a gradient back through `conv` with the same parameters (the
    transpose of its matrix, not its inverse), so a stride makes maps larger:
    `y[o, i s + p - pad, j s + q - pad] += w[c, o, p, q] x[c, i, j]`, over all c, i, j, p, q,
    plus b[o]. Zeiler et al., "Deconvolutional Networks", 2010; Dumoulin and Visin, "A Guide to
    Convolution Arithmetic for Deep Learning", 2016, section 4. Where the stride does not divide the
    kernel, neighbouring pixels get contributions from different numbers of inputs: a checkerboard.

    Shape: (N, C, H, W) -> (N, out, H', W'),
    H' = (H - 1) s + k - 2 pad + output_padding.

    Args:
        out: number of output maps.
        kernel: side of the window in pixels, or [height, width].
        stride: distance in pixels between the windows of two neighbouring inputs.
        padding: border that is cut off on every side: a number, a pair [vertical, horizontal],
            'valid' for none, or 'same' for an output of exactly input x stride (an odd kernel).
        output_padding: rows and columns added at the bottom and right, since several input sizes
            of `conv` give the same output size; null: 0, with 'same' stride - 1.
        groups: the maps are split into this many groups that do not see each other.
        bias: whether each output map has a learned offset.

    Raises:
        ValueError: groups do not divide the channels, padding 'same' has an even kernel or an
            output_padding, or output_padding is not less than the stride.
    """
    require_divides("conv_transpose", groups, in_channels, out)
    steps = pair(stride)
    if padding == "same" and output_padding is not None:
        raise ValueError(
            "conv_transpose: padding 'same' sets output_padding to stride - 1; "
            "remove it, or give the padding as a number"
        )
    extra = pair(output_padding) if output_padding is not None else (0, 0)
    if padding == "same":
        extra = steps[0] - 1, steps[1] - 1
    for added, step in zip(extra, steps, strict=True):
        if added >= step:
            raise ValueError(
                f"conv_transpose: output_padding {added} must be less than the stride {step}; "
                f"lower it"
            )
    return nn.ConvTranspose2d(
        in_channels,
        out,
        pair(kernel),
        stride=steps,
        padding=numeric_padding("conv_transpose", padding, kernel=pair(kernel)),
        output_padding=extra,
        groups=groups,
        bias=bias,
    )
