"""Pooling by a norm."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Padding, PositiveFloat, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pool_window, shows, widened


@layer("lp_pool")
class LpPool(nn.Module):
    """Lp pooling: the p-norm of each window of each map, (sum of |x|**p) ** (1 / p).

    p = 1 is the sum of absolute values, p = 2 is `l2_pool`, and p towards infinity the largest
    absolute value. It is a sum, so a constant c gives c (kernel height x width) ** (1 / p).
    No power overflows, whatever p; the gradient of a window of zeros is zero. Sermanet et al.,
    "Convolutional Neural Networks Applied to House Numbers Digit Classification", 2012, section 2.2
    (there with Gaussian weights in the window; here all weights are 1).

    Shape: (N, C, H, W) -> (N, C, H', W'), H' = floor((H + 2 padding - kernel) / stride) + 1.

    Args:
        p: the exponent, at least 1.
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window, or [vertical, horizontal]; null means the kernel.
        padding: zeros added on every side, or [vertical, horizontal]; at most half of the kernel.

    Raises:
        ValueError: p is less than 1, the input has no height and width, or the padding exceeds
            half of the kernel.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        p: PositiveFloat = 2.0,
        kernel: Size = 2,
        stride: Size | None = None,
        padding: Padding = 0,
    ) -> None:
        super().__init__()
        window = pool_window("lp_pool", in_shape, kernel, stride, padding)
        if p < 1:
            raise ValueError(
                f"lp_pool: with p {p:g} it is not a norm, and its gradient at zero is infinite; "
                f"use at least 1"
            )
        self.p = p
        self.kernel_size, self.stride, self.padding = window

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return pool_by_norm(x, self.p, self.kernel_size, self.stride, self.padding)

    extra_repr = shows("p", "kernel_size", "stride", "padding")


@torch.fx.wrap  # one node of a traced graph: the working type depends on the real tensor
def pool_by_norm(
    x: Tensor,
    p: float,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Tensor:
    """The function of `LpPool`: (N, C, H, W) -> (N, C, H', W'), in float32 at least."""
    values = widened(x).abs()
    if p > _SAFE:
        return _scaled_norms(values, p, kernel, stride, padding).to(x.dtype)
    means = functional.avg_pool2d(values.pow(p), kernel, stride, padding)
    powers = means * math.prod(kernel)  # ONNX knows no divisor_override
    # The clamp comes before the root, whose slope at 0 is infinite.
    tiny = torch.finfo(powers.dtype).tiny
    norms = powers.clamp_min(tiny).pow(1 / p).masked_fill(powers < tiny, 0.0)
    return norms.to(x.dtype)


_SAFE = 4.0
"""Up to here float32 has the powers of all values from 1e-9 to 4e9."""


def _scaled_norms(
    values: Tensor,
    p: float,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Tensor:
    """The norms, with each window divided by its largest value first; 5 times the work."""
    vertical, horizontal = padding
    padded = functional.pad(values, (horizontal, horizontal, vertical, vertical))
    windows = padded.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1])
    # The norm of (a x) is a times that of x, so any scale will do, without a gradient.
    scale = windows.detach().amax(dim=(4, 5))
    divisor = scale.clamp_min(torch.finfo(scale.dtype).tiny)[..., None, None]
    powers = (windows / divisor).pow(p).sum(dim=(4, 5))
    # The sum is at least 1, except over zeros, where the root's slope would be infinite.
    return scale * powers.clamp_min(0.5).pow(1 / p)
