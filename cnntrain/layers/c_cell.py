"""The Neocognitron's C-cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Padding, PositiveFloat, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pool_window, shows, widened, without_autocast


@layer("c_cell")
class CCell(nn.Module):
    """Neocognitron C-cells: a fixed blur of each map, inhibited by the mean map, saturated.

    With u_k the S-cells of map k, and sums over the window of v around n:

        s_k(n) = sum_v d(v) u_k(n + v)
        m(n) = mean over k of s_k(n)
        y_k(n) = psi((1 + s_k(n)) / (1 + m(n)) - 1), psi(x) = x / (saturation + x), or 0 for x < 0

    So a C-cell fires where an S-cell of its map does, wherever in the window, if its map is more
    active there than the average map. Nothing is learned. d is a Gaussian of standard deviation
    kernel / 4 with sum 1 (the paper asks for positive weights that decrease from the centre).
    Fukushima, "Neocognitron: A Self-organizing Neural Network Model for a Mechanism of Pattern
    Recognition Unaffected by Shift in Position", 1980. The arithmetic is float32 at least.

    Shape: (N, C, H, W) -> (N, C, H', W'), H' = floor((H + 2 padding - kernel) / stride) + 1.

    Args:
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window, or [vertical, horizontal].
        padding: zeros added on every side, or [vertical, horizontal]; at most half of the kernel.
        saturation: the paper's alpha: the x at which psi is one half.
        inhibition: whether the mean map inhibits, or else m is 0.

    Raises:
        ValueError: the input has no height and width, the padding exceeds half of the kernel, or
            there is one map only, which never exceeds the mean.
    """

    window: Tensor

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        kernel: Size = 5,
        stride: Size = 1,
        padding: Padding = 0,
        saturation: PositiveFloat = 1.0,
        inhibition: bool = True,
    ) -> None:
        super().__init__()
        window = pool_window("c_cell", in_shape, kernel, stride, padding)
        if inhibition and in_shape[0] == 1:
            raise ValueError(
                "c_cell: a single map never exceeds the mean of the maps; use inhibition: false"
            )
        self.kernel_size, self.stride, self.padding = window
        self.saturation = saturation
        self.inhibition = inhibition
        self.register_buffer("window", gaussian_window(self.kernel_size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        size = (self.stride, self.padding)
        return respond(x, self.window, *size, self.saturation, inhibition=self.inhibition)

    extra_repr = shows("kernel_size", "stride", "padding", "saturation", "inhibition")


def gaussian_window(kernel: tuple[int, int]) -> Tensor:
    """A Gaussian of standard deviation kernel / 4 along each axis, with sum 1: (height, width)."""
    rows, columns = (_profile(side) for side in kernel)
    return rows[:, None] * columns


def _profile(side: int) -> Tensor:
    distance = torch.arange(side) - (side - 1) / 2
    weights = torch.exp(-0.5 * (distance / (side / 4)) ** 2)
    return weights / weights.sum()


@torch.fx.wrap  # one node of a traced graph: autocast below needs the real device
def respond(
    x: Tensor,
    window: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    saturation: float,
    *,
    inhibition: bool,
) -> Tensor:
    """The function of `CCell`: (N, C, H, W) -> (N, C, H', W')."""
    with without_autocast(x):
        values = widened(x)
        maps = values.shape[1]
        kernels = window.to(values.dtype).expand(maps, 1, -1, -1)
        blurred = functional.conv2d(values, kernels, stride=stride, padding=padding, groups=maps)
        if inhibition:
            mean = blurred.mean(dim=1, keepdim=True)
            blurred = (blurred - mean) / (1 + mean.clamp_min(0))
        excited = functional.relu(blurred)
        return (excited / (saturation + excited)).to(x.dtype)
