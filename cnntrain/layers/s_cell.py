"""The Neocognitron's S-cells."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Padding, Positive, PositiveFloat, Size
from cnntrain.layers import layer
from cnntrain.layers.c_cell import gaussian_window
from cnntrain.layers.shapes import pair, require_maps, shows, widened, without_autocast


@layer("s_cell")
class SCell(nn.Module):
    """Neocognitron S-cells: they fire where the input looks like their weights.

    With u_c the maps below (C-cells or the image, of values of 0 or more), and sums over the window
    of v around n:

        e_k(n) = sum over c, v of a_k(c, v) u_c(n + v)
        h(n) = sqrt(sum over c, v of w(v) u_c(n + v)**2)
        y_k(n) = r phi[(1 + e_k(n)) / (1 + 2 r / (1 + r) b_k h(n)) - 1], phi(x) = max(0, x)

    The inhibition h does not depend on the pattern in the window, so only a fitting one, with e
    above h, fires; a larger r asks for a better fit. w is fixed and sums to 1 over window and
    maps, in each map a Gaussian of standard deviation kernel / 4. Fukushima, "Neocognitron: A
    Self-organizing Neural Network Model for a Mechanism of Pattern Recognition Unaffected by Shift
    in Position", 1980. There a and b grow from about 0 without a teacher; here they are learned
    like all weights. To stay positive they are the absolute values of `weight` and `inhibition`,
    which start as uniform up to 2 / fan_in (e is about the mean input then), and as 1/4. The
    arithmetic is float32 at least.

    Shape: (N, C, H, W) -> (N, out, H', W'), H' = floor((H + 2 padding - kernel) / stride) + 1.

    Args:
        out: number of output maps.
        kernel: side of the window in pixels, or [height, width].
        stride: step of the window in pixels, or [vertical, horizontal].
        padding: zeros on every side of the image, or [vertical, horizontal].
        selectivity: the paper's r.

    Raises:
        ValueError: the input has no height and width.
    """

    window: Tensor

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out: Positive,
        kernel: Size = 5,
        stride: Size = 1,
        padding: Padding = 0,
        selectivity: PositiveFloat = 1.5,
    ) -> None:
        super().__init__()
        require_maps("s_cell", in_shape)
        self.kernel_size, self.stride, self.padding = pair(kernel), pair(stride), pair(padding)
        self.out, self.selectivity = out, selectivity
        self.weight = nn.Parameter(torch.empty(out, in_shape[0], *self.kernel_size))
        self.inhibition = nn.Parameter(torch.full((out,), 0.25))
        self.register_buffer("window", gaussian_window(self.kernel_size), persistent=False)
        nn.init.uniform_(self.weight, 0.0, 2 / (in_shape[0] * math.prod(self.kernel_size)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H', W')."""
        learned = (self.weight, self.inhibition)
        return respond(
            x, *learned, self.window, self.stride, self.padding, selectivity=self.selectivity
        )

    extra_repr = shows("out", "kernel_size", "stride", "padding", "selectivity")


@torch.fx.wrap  # one node of a traced graph: autocast below needs the real device
def respond(
    x: Tensor,
    weight: Tensor,
    inhibition: Tensor,
    window: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    *,
    selectivity: float,
) -> Tensor:
    """The function of `SCell`: (N, C, H, W) -> (N, out, H', W')."""
    with without_autocast(x):
        values = widened(x)
        kernels = weight.abs().to(values.dtype)
        excited = functional.conv2d(values, kernels, stride=stride, padding=padding)
        energy = functional.conv2d(
            values.square().mean(dim=1, keepdim=True),
            window.to(values.dtype)[None, None],
            stride=stride,
            padding=padding,
        )
        # The clamp comes before the root, whose slope at 0 is infinite.
        rms = energy.clamp_min(torch.finfo(energy.dtype).tiny).sqrt()
        factor = 2 * selectivity / (1 + selectivity)
        inhibited = factor * inhibition.abs().to(values.dtype).view(-1, 1, 1) * rms
        # (1 + e) / (1 + h) - 1 without the difference of two numbers near 1.
        return (selectivity * functional.relu((excited - inhibited) / (1 + inhibited))).to(x.dtype)
