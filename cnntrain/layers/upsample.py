"""Larger maps by interpolation."""

from __future__ import annotations

from typing import Literal

from torch import nn

from cnntrain.core.kinds import Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pair, require_maps


@layer("upsample", affine="plain")
def upsample(
    *,
    in_shape: tuple[int, ...],
    factor: Size | None = None,
    size: Size | None = None,
    mode: Literal["nearest", "bilinear"] = "nearest",
) -> nn.Upsample:
    """Upsampling: larger maps without weights, by repeating pixels or interpolating between them.

    Nearest: y[i, j] = x[floor(i H / H'), floor(j W / W')]. Bilinear: output pixel i lies at
    (i + 1/2) H / H' - 1/2 of the input, and is weighted by its distance to the two pixels around
    it, in each direction; beyond the border the border counts. A `conv` behind it has no
    checkerboard, unlike `conv_transpose`: Odena et al., "Deconvolution and Checkerboard Artifacts",
    2016.

    Shape: (N, C, H, W) -> (N, C, factor H, factor W), or (N, C, size, size).

    Args:
        factor: how many times as large, or [vertical, horizontal]; null: 2, unless `size` is given.
        size: side of the output in pixels, or [height, width], in place of a factor.
        mode: nearest repeats pixels, bilinear interpolates.

    Raises:
        ValueError: the input has no height and width, or both factor and size are given.
    """
    require_maps("upsample", in_shape)
    if size is None:
        vertical, horizontal = pair(2 if factor is None else factor)
        return nn.Upsample(scale_factor=(float(vertical), float(horizontal)), mode=mode)
    if factor is not None:
        raise ValueError("upsample: 'factor' and 'size' contradict each other; give one of the two")
    return nn.Upsample(size=pair(size), mode=mode)
