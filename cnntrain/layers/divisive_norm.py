"""Divisive normalisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Positive, PositiveFloat, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pair, require_maps, require_odd, shows, widened


@layer("divisive_norm")
class DivisiveNorm(nn.Module):
    """Divisive normalisation: each value is divided by the energy of its neighbourhood.

    `y = x / sqrt(epsilon + sum of x**2)`, the sum over a window of kernel height x kernel width
    pixels and `maps` maps around the value; zeros surround the image and the maps. Contrast (a x)
    changes nothing where the sum is far above epsilon; a constant image gives
    1 / sqrt(height width maps) in the interior. No mean is subtracted: `lcn` does that.
    Heeger, "Normalization of Cell Responses in Cat Striate Cortex", 1992; Pinto et al., "A
    High-Throughput Screening Approach to Discovering Good Forms of Biologically Inspired Visual
    Representation", 2009. The arithmetic is float32 at least, under autocast too.

    Shape: (N, C, H, W) -> the same.

    Args:
        kernel: side of the window in pixels, or [height, width]; odd.
        maps: number of neighbouring maps in the sum, odd; null means all maps.
        epsilon: added to the sum, so that a neighbourhood of zeros (common after relu) gives 0.

    Raises:
        ValueError: a side of the window is even, or the input has no height and width.
    """

    stride = dilation = 1

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        kernel: Size = 5,
        maps: Positive | None = None,
        epsilon: PositiveFloat = 1e-5,
    ) -> None:
        super().__init__()
        require_maps("divisive_norm", in_shape)
        self.kernel_size = pair(kernel)
        for side in self.kernel_size:
            require_odd("divisive_norm: kernel", side)
        if maps is not None:
            require_odd("divisive_norm: maps", maps)
        self.padding = (self.kernel_size[0] // 2, self.kernel_size[1] // 2)
        self.maps = maps
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape and type."""
        return divide_by_energy(x, kernel=self.kernel_size, maps=self.maps, epsilon=self.epsilon)

    extra_repr = shows("kernel_size", "maps", "epsilon")


@torch.fx.wrap  # one node of a traced graph: the working type depends on the real tensor
def divide_by_energy(
    x: Tensor, *, kernel: tuple[int, int], maps: int | None, epsilon: float
) -> Tensor:
    """The function of `DivisiveNorm`: (N, C, H, W) -> the same shape and type."""
    values = widened(x)
    energy = values.square()
    if maps is None:
        energy = energy.sum(dim=1, keepdim=True)
    elif maps > 1:
        over_maps = functional.avg_pool3d(
            energy.unsqueeze(1),
            (maps, 1, 1),
            stride=1,
            padding=(maps // 2, 0, 0),
        )
        energy = maps * over_maps.squeeze(1)  # sums from means: ONNX knows no divisor_override
    energy = math.prod(kernel) * functional.avg_pool2d(
        energy, kernel, stride=1, padding=(kernel[0] // 2, kernel[1] // 2)
    )
    return (values / (energy + epsilon).sqrt()).to(x.dtype)
