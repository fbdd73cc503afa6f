"""One learned factor for each map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.core.kinds import PositiveFloat
from cnntrain.layers import layer


@layer("gain", affine="plain")
class Gain(nn.Module):
    """Gain: y_c = g_c x_c, one learned factor for each map.

    The last step of the filter bank layer of Jarrett et al., "What is the Best Multi-Stage
    Architecture for Object Recognition?", 2009, section 2.1, equation 1:
    `y_j = g_j tanh(sum over i of k_ij * x_i)`, a `conv`, a `tanh` and this.

    Shape: (N, C, H, W) or (N, C) -> the same.

    Args:
        initial: the factors before training. A small one before the loss makes the classes about
            equally likely at first; with `lr_factor: 0` it stays.
    """

    undecayed = ("weight",)  # factors of whole maps, as those of a normalisation

    def __init__(self, *, in_shape: tuple[int, ...], initial: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((in_shape[0],), float(initial)))
        self._spread = (-1, *[1] * (len(in_shape) - 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape and type."""
        return x * self.weight.view(self._spread).to(x.dtype)
