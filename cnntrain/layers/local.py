"""Locally connected layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Padding, Positive, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pair, require_maps, shows


@layer("local", affine="mixes")
class Local(nn.Module):
    """Locally connected layer: a convolution with weights of its own at every position.

    `y[o, i, j] = b[o, i, j] + sum over c, p, q of w[i, j, o, c, p, q] x[c, i s + p - pad,
    j s + q - pad]`: the connections of a convolution without weight sharing, for images that are
    aligned, such as faces. H' W' times the weights of a convolution, and the same multiply-adds.
    LeCun, "Generalization and Network Design Strategies", 1989, net 3; Taigman et al., "DeepFace",
    2014, layers L4 to L6.

    `weight` is (H' W', out, C kernel kernel), positions row by row, `bias` (out, H', W').

    Shape: (N, C, H, W) -> (N, out, H', W'), H' = floor((H + 2 padding - kernel) / stride) + 1; H
    and W cannot change afterwards.

    Args:
        out: number of output maps.
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window in pixels, or [vertical, horizontal].
        padding: zeros on every side of the image, or [vertical, horizontal].
        bias: whether each output value has a learned offset.

    Raises:
        ValueError: the input has no height and width, or is smaller than the window.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out: Positive,
        kernel: Size = 3,
        stride: Size = 1,
        padding: Padding = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        require_maps("local", in_shape)
        self.kernel_size, self.stride, self.padding = pair(kernel), pair(stride), pair(padding)
        self.out = out
        sides = zip(in_shape[1:], self.padding, self.kernel_size, self.stride, strict=True)
        self.out_size = tuple((side + 2 * pad - k) // step + 1 for side, pad, k, step in sides)
        if min(self.out_size) < 1:
            raise ValueError(
                f"local: the window {list(self.kernel_size)} is larger than the map with its "
                f"padding; use a smaller kernel or more padding"
            )
        area, positions = math.prod(self.kernel_size), math.prod(self.out_size)
        # fan_in and fan_out of a unit; the weight's shape alone does not show them.
        self.fans = (in_shape[0] * area, out * area)
        self.weight = nn.Parameter(torch.empty(positions, out, self.fans[0]))
        self.bias = nn.Parameter(torch.empty(out, *self.out_size)) if bias else None
        bound = 1 / math.sqrt(self.fans[0])  # as torch's convolutions are
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H', W')."""
        patches = functional.unfold(
            x, self.kernel_size, padding=self.padding, stride=self.stride
        )  # (N, C kernel kernel, H' W')
        products = torch.bmm(patches.permute(2, 0, 1), self.weight.transpose(1, 2))
        maps = torch.unflatten(products.permute(1, 2, 0), 2, self.out_size)
        return maps if self.bias is None else maps + self.bias.to(maps.dtype)

    extra_repr = shows("out", "out_size", "kernel_size", "stride", "padding")
