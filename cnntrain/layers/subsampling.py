"""LeNet's pooling with learned weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pair, require_maps, shows


@layer("subsampling", affine="plain")
class Subsampling(nn.Module):
    """Trainable subsampling: the sum of each window times a learned factor, plus a learned offset.

    `y[c, i, j] = w_c * sum over p, q of x[c, i s + p, j s + q] + b_c`, two parameters for each
    map; layers S2 and S4 of LeCun et al., "Gradient-Based Learning Applied to Document
    Recognition", 1998, section II.B, where a squashing function follows (write it as the next
    layer). The factors start as 1 / (kernel height x width), which is average pooling.

    Shape: (N, C, H, W) -> (N, C, H', W'), H' = floor((H - kernel) / stride) + 1.

    Args:
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window, or [vertical, horizontal]; null means the kernel.

    Raises:
        ValueError: the input has no height and width.
    """

    padding = 0
    undecayed = ("weight",)  # factors of whole maps, as those of a normalisation

    def __init__(
        self, *, in_shape: tuple[int, ...], kernel: Size = 2, stride: Size | None = None
    ) -> None:
        super().__init__()
        require_maps("subsampling", in_shape)
        self.kernel_size = pair(kernel)
        self.stride = pair(kernel if stride is None else stride)
        area = self.kernel_size[0] * self.kernel_size[1]
        self.weight = nn.Parameter(torch.full((in_shape[0],), 1 / area))
        self.bias = nn.Parameter(torch.zeros(in_shape[0]))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        means = functional.avg_pool2d(x, self.kernel_size, self.stride)
        sums = means * math.prod(self.kernel_size)  # ONNX knows no divisor_override
        factor, offset = (value.view(-1, 1, 1).to(x.dtype) for value in (self.weight, self.bias))
        return sums * factor + offset

    extra_repr = shows("kernel_size", "stride")
