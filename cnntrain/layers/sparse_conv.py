"""Convolution in which each output map sees only some of the input maps."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import NonNegative, Padding, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pair, require_maps, shows

LENET5 = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
"""Table I of LeCun et al. 1998: which of the 6 maps of S2 each of the 16 maps of C3 sees."""


@layer("sparse_conv", affine="mixes")
class SparseConv(nn.Module):
    """Sparsely connected convolution: output map o sees only the input maps of its list T(o).

    `y[o, i, j] = b[o] + sum over c in T(o), p, q of w[o, c, p, q] x[c, i s + p - pad,
    j s + q - pad]`. Only the weights of real connections exist: layer C3 of LeNet-5 with 5x5
    windows has 60 connections and 60 x 25 + 16 = 1,516 parameters. Only they count in the
    multiply-adds; a full kernel with zeros is what runs, which is several times faster. LeCun et
    al., "Gradient-Based Learning Applied to Document Recognition", 1998, section II.B and table I.

    `weight` is (connections, kernel, kernel), in the order of the table, the inputs of each output
    map in ascending order.

    Shape: (N, C, H, W) -> (N, out, H', W'), H' = floor((H + 2 padding - kernel) / stride) + 1.

    Args:
        table: 'lenet5' for the published table (6 input and 16 output maps), or for each output
            map the list of the input maps that it sees, counted from 0.
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window in pixels, or [vertical, horizontal].
        padding: zeros on every side of the image, or [vertical, horizontal].
        bias: whether each output map has a learned offset.

    Raises:
        ValueError: an output map sees nothing, one map twice, or one that does not exist, or the
            input has no height and width.
    """

    inputs: Tensor
    outputs: Tensor

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        table: Literal["lenet5"] | list[list[NonNegative]],
        kernel: Size = 5,
        stride: Size = 1,
        padding: Padding = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        require_maps("sparse_conv", in_shape)
        lists = [sorted(row) for row in (LENET5 if table == "lenet5" else table)]
        _check_table(lists, in_shape[0])
        self.kernel_size, self.stride, self.padding = pair(kernel), pair(stride), pair(padding)
        inputs = torch.tensor([c for row in lists for c in row])
        outputs = torch.tensor([o for o, row in enumerate(lists) for _ in row])
        self.register_buffer("inputs", inputs, persistent=False)
        self.register_buffer("outputs", outputs, persistent=False)
        area = math.prod(self.kernel_size)
        # fan_in and fan_out of the average unit; the weight's shape alone does not show them.
        self.fans = (len(inputs) * area // len(lists), len(inputs) * area // in_shape[0])
        self.weight = nn.Parameter(torch.empty(len(inputs), *self.kernel_size))
        self.bias = nn.Parameter(torch.empty(len(lists))) if bias else None
        self.connections, self.out = len(inputs), len(lists)
        self._initialise([len(row) for row in lists])

    @torch.no_grad()
    def _initialise(self, counts: list[int]) -> None:
        """Uniform up to 1 / sqrt(the output map's own fan_in), as torch's convolutions are."""
        fans = torch.tensor(counts) * math.prod(self.kernel_size)
        bounds = fans.rsqrt()
        self.weight.uniform_(-1, 1).mul_(bounds[self.outputs].view(-1, 1, 1))
        if self.bias is not None:
            self.bias.uniform_(-1, 1).mul_(bounds)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H', W')."""
        connections = (self.outputs, self.inputs)
        y = convolve_sparsely(x, self.weight, connections, self.out, self.stride, self.padding)
        return y if self.bias is None else y + self.bias.view(-1, 1, 1).to(y.dtype)

    extra_repr = shows("connections", "out", "kernel_size", "stride", "padding")


@torch.fx.wrap  # one node of a traced graph: the way depends on the real tensor
def convolve_sparsely(
    x: Tensor,
    weight: Tensor,
    connections: tuple[Tensor, Tensor],
    out: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Tensor:
    """The function of `SparseConv` without offsets: (N, C, H, W) -> (N, out, H', W').

    Args:
        x: the input maps.
        weight: of each connection, (connections, kernel, kernel).
        connections: output map and input map of each.
        out: number of output maps.
        stride: step of the window in pixels.
        padding: zeros on every side of the image.
    """
    outputs, inputs = connections
    if x.is_meta:  # nothing is computed, only counted: the connections that there are
        kernels, read = weight.unsqueeze(1), x.index_select(1, inputs)
        each = functional.conv2d(read, kernels, None, stride, padding, groups=len(weight))
        return each.new_zeros(len(x), out, *each.shape[2:]).index_add(1, outputs, each)
    kernels = weight.new_zeros(out, x.shape[1], *weight.shape[1:])
    kernels = kernels.index_put((outputs, inputs), weight)
    return functional.conv2d(x, kernels, None, stride, padding)


def _check_table(lists: list[list[int]], channels: int) -> None:
    """Refuse a table that is empty, or a list in it that is, or has a map twice or unknown."""
    if not lists:
        raise ValueError("sparse_conv: the table is empty; give a list of input maps per output")
    for o, row in enumerate(lists):
        if not row:
            raise ValueError(
                f"sparse_conv: output map {o} sees no input map; give it one, or leave it out"
            )
        if len(set(row)) < len(row):
            raise ValueError(
                f"sparse_conv: output map {o} sees an input map twice: {row}; name each once"
            )
        if row[-1] >= channels:
            raise ValueError(
                f"sparse_conv: output map {o} sees input map {row[-1]}, but there are {channels}; "
                f"use 0 to {channels - 1}"
            )
